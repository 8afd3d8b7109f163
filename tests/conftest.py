"""Settings that must be made before any Hugging Face library is imported."""

import os
import tempfile


_home = tempfile.mkdtemp(prefix="dcgan-hf-tests-")
os.environ["HF_HOME"] = _home
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["KERAS_BACKEND"] = "torch"
os.environ["KERAS_HOME"] = _home
os.environ["TQDM_DISABLE"] = "1"

import shutil  # noqa: E402

import pytest  # noqa: E402
import torch  # noqa: E402


@pytest.fixture(scope="session", autouse=True)
def _clean_up():
    torch.set_num_threads(2)
    yield
    shutil.rmtree(_home, ignore_errors=True)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)
