"""Models and photographs for tests of upscaling."""

import PIL.Image
import pytest
import torch
from sklearn.datasets import load_sample_image

from dcgan_hf import DCGANSuperResolutionPipeline

from ..models.test_super_resolution import make_generator


def save_model(folder, num_channels=3):
    torch.manual_seed(num_channels)
    DCGANSuperResolutionPipeline(make_generator(num_channels=num_channels)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="package")
def model(tmp_path_factory):
    """A folder with a model that doubles the size."""
    return save_model(tmp_path_factory.mktemp("models") / "model")


@pytest.fixture(scope="package")
def pipe(model):
    return DCGANSuperResolutionPipeline.from_pretrained(model)


@pytest.fixture(scope="package")
def photo():
    """A photograph of 40 x 30 pixels."""
    return PIL.Image.fromarray(load_sample_image("china.jpg")).resize((40, 30))
