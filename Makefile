# Every target sets up its environment: `make train` and `make test` work from a bare checkout.
PYTHON ?= python3.11
VENV ?= .venv
BIN = $(VENV)/bin
# Pinned versions. `constraints-oldest.txt` pins the lower bounds of pyproject.toml.
CONSTRAINTS ?= constraints.txt
FOR_TRAINING = $(VENV)/.installed-for-training
INSTALLED = $(VENV)/.installed

.PHONY: help train test test-oldest quality style docs notebooks clean

help:
	@echo "make train        train a DCGAN on handwritten digits (ARGS='--seed 1' adds flags)"
	@echo "make test         run the tests (ARGS='-k pipeline' adds pytest flags)"
	@echo "make test-oldest  run the tests with the oldest supported versions"
	@echo "make quality      check format, lint and types"
	@echo "make style        format, and apply the linter's fixes"
	@echo "make docs         build the site in site/, with strict links"
	@echo "make notebooks    run the notebooks of docs/tutorials/ and keep their pictures"
	@echo "make clean        remove the environments and caches"

$(FOR_TRAINING): pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint $(CONSTRAINTS) --editable ".[train]"
	touch $@

$(INSTALLED): $(FOR_TRAINING)
	$(BIN)/python -m pip install --quiet --constraint $(CONSTRAINTS) --editable ".[dev]"
	# For tests: a third-party generator and Inception, both without dependencies. The incomplete torch-fidelity must be
	# hidden from torchmetrics, hence the separate folder.
	$(BIN)/python -m pip install --quiet --no-deps gan-face-generate==1.1.1
	$(BIN)/python -m pip install --quiet --no-deps --target $(VENV)/torch-fidelity torch-fidelity==0.4.0
	touch $@

train: $(FOR_TRAINING)
	$(BIN)/dcgan train $(ARGS)

test: $(INSTALLED)
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal $(ARGS)

test-oldest:
	$(MAKE) test VENV=.venv-oldest CONSTRAINTS=constraints-oldest.txt

quality: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

style: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(INSTALLED)
	$(BIN)/python scripts/docs/figures.py --check
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

notebooks: $(INSTALLED)
	$(BIN)/python scripts/docs/notebooks.py $(ARGS)

clean:
	rm -rf .venv .venv-oldest .cache .hypothesis site .pytest_cache .mypy_cache .ruff_cache *.egg-info
