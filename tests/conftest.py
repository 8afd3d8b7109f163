"""Settings that must be made before any Hugging Face library is imported."""

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
