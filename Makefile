# Every target does its own set-up: `make train` and `make test` work from a bare checkout.
PYTHON ?= python3.11
VENV ?= .venv
BIN = $(VENV)/bin
INSTALLED = $(VENV)/.installed

.PHONY: help train test quality style clean

help:
	@echo "make train    train a DCGAN on handwritten digits (ARGS='--seed 1' adds flags)"
	@echo "make test     run the tests (ARGS='-k pipeline' adds flags of pytest)"
	@echo "make quality  check format, lint and types"
	@echo "make style    format, and mend what the linter can"
	@echo "make clean    remove the environment and caches"

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	# For tests: a generator that others trained, and Inception. Their code needs packages that we do not, without which
	# torchmetrics must not find the latter.
	$(BIN)/python -m pip install --quiet --no-deps gan-face-generate==1.1.1
	$(BIN)/python -m pip install --quiet --no-deps --target $(VENV)/torch-fidelity torch-fidelity==0.4.0
	touch $@

train: $(INSTALLED)
	$(BIN)/accelerate launch scripts/train.py $(ARGS)

test: $(INSTALLED)
	$(BIN)/python -m pytest --numprocesses 2 $(ARGS)

quality: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

style: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
