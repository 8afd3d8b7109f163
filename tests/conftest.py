"""Settings that must be made before any Hugging Face library is imported."""

import importlib.metadata
import os
import shutil
import tempfile

from .hub_server import HubServer


_home = tempfile.mkdtemp(prefix="dcgan-hf-tests-")
# The Hub of all tests, on this machine. What is not on it does not exist.
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
# Tests run side by side and scripts take all cores: threads that wait must not keep a core from those that work.
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"

import pytest  # noqa: E402
import torch  # noqa: E402
from accelerate import PartialState  # noqa: E402
from accelerate.state import AcceleratorState, GradientState  # noqa: E402


# What a generation of a library cannot do, for `make test-oldest`: the card is checked at the real Hub's address, without
# answers from the local one; graphs are made by a later exporter.
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
    "transformers": ((5, 23), ("test_export", "test_python_code_runs", "test_sampling_needs_no_training_extras")),
}


def pytest_ignore_collect(collection_path):
    return collection_path.name == "test_export.py" and _is_older("transformers", (5, 23)) or None


def pytest_collection_modifyitems(items):
    for library, (version, names) in _NEEDS.items():
        if _is_older(library, version):
            for item in items:
                if item.name.split("[")[0] in names:
                    item.add_marker(pytest.mark.skip(reason=f"needs {library} {'.'.join(map(str, version))}"))


def _is_older(library, version):
    return tuple(map(int, importlib.metadata.version(library).split(".")[: len(version)])) < version


@pytest.fixture(scope="session", autouse=True)
def _clean_up():
    # Two processes run tests (Makefile), on two cores at least.
    torch.set_num_threads(1)
    yield
    _hub.close()
    shutil.rmtree(_home, ignore_errors=True)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _accelerate_begins_anew():
    """Accelerators that a test made allow no other precision after them. (Those of the package leave nothing behind.)"""
    yield
    for singleton in (PartialState, AcceleratorState, GradientState):
        singleton._reset_state()


@pytest.fixture
def hub():
    """The Hub, empty."""
    _hub.reset()
    return _hub


@pytest.fixture
def token(monkeypatch):
    """The user "org" is logged in."""
    monkeypatch.setenv("HF_TOKEN", "hf_testtokenoftheowner")
    return "hf_testtokenoftheowner"
