"""Fixtures, and settings that must precede the import of any Hugging Face library."""

import importlib.metadata
import os
import shutil
import tempfile

from .hub_server import HubServer


_home = tempfile.mkdtemp(prefix="dcgan-hf-tests-")
# Local Hub of all tests. Repositories that it does not have do not exist.
_hub = HubServer()
_hub.add_user("org", "hf_testtokenoftheowner")
_hub.add_user("stranger", "hf_testtokenofastranger")
os.environ["HF_ENDPOINT"] = _hub.endpoint
os.environ["NO_PROXY"] = "127.0.0.1"
os.environ.pop("HF_TOKEN", None)
os.environ["HF_HUB_DISABLE_XET"] = "1"
os.environ["HF_HOME"] = _home
os.environ["KERAS_BACKEND"] = "torch"
os.environ["KERAS_HOME"] = _home
os.environ["TQDM_DISABLE"] = "1"
# Tests run in parallel and scripts use all cores: waiting threads must not block a core.
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"

import pytest  # noqa: E402
import torch  # noqa: E402
from accelerate import PartialState  # noqa: E402
from accelerate.state import AcceleratorState, GradientState  # noqa: E402


# Unsupported by older versions of libraries, for `make test-oldest`: they validate cards at the real Hub's address,
# not at the local Hub; graphs need a later exporter.
_NEEDS = {
    "huggingface_hub": (
        (2,),
        (
            "test_cards",
            "test_the_metadata_is_valid_and_complete",
            "test_a_data_set_of_the_hub_is_linked_with_its_license",
        )
        + ("test_the_cards_of_the_recipes", "test_a_refusal_at_the_start_comes_before_any_work")
        + ("test_who_is_not_logged_in_or_not_welcome_is_told_at_the_start", "test_a_run_does_not_wait_for_ever"),
    ),
    "transformers": ((5, 23), ("test_export", "docs/guides/export.md", "test_sampling_needs_no_training_extras")),
}


# Parts of the names of tests that start processes.
_LONG = (
    "test_distributed",
    "test_ladder",
    "test_benchmark",
    "tests/benchmarks",
    "test_hub_loading",
    "test_notebooks",
    "two_processes",
    "kill",
)


def pytest_ignore_collect(collection_path):
    return collection_path.name == "test_export.py" and _is_older("transformers", (5, 23)) or None


def pytest_collection_modifyitems(items):
    for library, (version, names) in _NEEDS.items():
        if _is_older(library, version):
            for item in items:
                if any(name in item.name for name in names):
                    item.add_marker(pytest.mark.skip(reason=f"needs {library} {'.'.join(map(str, version))}"))
    # Long tests first, so that no worker is left alone with one at the end.
    items.sort(key=lambda item: not any(words in item.nodeid for words in _LONG))


def _is_older(library, version):
    return tuple(map(int, importlib.metadata.version(library).split(".")[: len(version)])) < version


@pytest.fixture(scope="session", autouse=True)
def _clean_up():
    # Two processes run the tests (Makefile), on at least two cores.
    torch.set_num_threads(1)
    yield
    _hub.close()
    shutil.rmtree(_home, ignore_errors=True)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _accelerate_begins_anew():
    """Resets Accelerate's state, which keeps the precision of a test's accelerator. (dcgan_hf resets its own.)"""
    yield
    for singleton in (PartialState, AcceleratorState, GradientState):
        singleton._reset_state()


@pytest.fixture
def hub():
    """Empty Hub."""
    _hub.reset()
    return _hub


@pytest.fixture
def token(monkeypatch):
    """Token of the user "org", who is logged in."""
    monkeypatch.setenv("HF_TOKEN", "hf_testtokenoftheowner")
    return "hf_testtokenoftheowner"
