"""Tests that the image processor prepares images as in training."""

import io
import json

import numpy as np
import PIL.Image
import pytest
import torch
from diffusers.image_processor import VaeImageProcessor
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoImageProcessor
from transformers.utils import is_torchvision_available

from dcgan_hf import DCGANDiscriminator, DCGANDiscriminatorConfig, DCGANImageProcessor
from dcgan_hf.data.decoding import encoded_to_array


def random_image(mode, width=30, height=20):
    values = np.random.default_rng(0).integers(0, 256, (height, width, 4), dtype=np.uint8)
    if mode == "I;16":
        return PIL.Image.fromarray(values[..., 0].astype(np.uint16) * 257)
    if mode == "F":
        return PIL.Image.fromarray(values[..., 0].astype(np.float32) / 255)
    return PIL.Image.fromarray(values, "RGBA").convert(mode)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F"])
@pytest.mark.parametrize("num_channels", [1, 3, 4])
@pytest.mark.parametrize("resize_mode", ["crop", "pad"])
def test_the_same_as_in_training(mode, num_channels, resize_mode):
    image = random_image(mode)
    file = io.BytesIO()
    image.save(file, "PNG" if mode == "P" else "TIFF")  # a TIFF loses transparent colours
    trained_on = encoded_to_array({"bytes": file.getvalue(), "path": None}, num_channels, 16, resize_mode)
    normalized = VaeImageProcessor.normalize(torch.from_numpy(trained_on.copy()).float() / 255)
    processor = DCGANImageProcessor(size=16, num_channels=num_channels, resize_mode=resize_mode)
    (pixel_values,) = processor(image, return_tensors="pt").pixel_values
    torch.testing.assert_close(pixel_values, normalized, rtol=0, atol=1e-6)


def test_arrays_and_tensors_are_images_too():
    image = random_image("RGB")
    array = np.asarray(image)
    processor = DCGANImageProcessor(size=16)
    expected = processor(image, return_tensors="np").pixel_values
    for same in (array, array.transpose(2, 0, 1), torch.from_numpy(array.copy()), array / 255, [array]):
        np.testing.assert_allclose(processor(same, return_tensors="np").pixel_values, expected, atol=1e-6)
    batch = processor([image, random_image("L", 50, 60)], return_tensors="pt").pixel_values
    assert batch.shape == (2, 3, 16, 16) and -1 <= batch.min() < 0 < batch.max() <= 1


@settings(max_examples=30, deadline=None)
@given(width=st.integers(1, 70), height=st.integers(1, 70), size=st.sampled_from([16, 32]), pad=st.booleans())
def test_any_size_becomes_a_square(width, height, size, pad):
    processor = DCGANImageProcessor(size=size, num_channels=1, resize_mode="pad" if pad else "crop")
    pixel_values = processor(random_image("RGB", width, height), return_tensors="pt").pixel_values
    assert pixel_values.shape == (1, 1, size, size) and pixel_values.abs().max() <= 1


@pytest.mark.parametrize(
    "options, image, message",
    [
        ({"num_channels": 2}, random_image("L"), r"`num_channels` must be one of \[1, 3, 4\], got 2"),
        ({"resize_mode": "stretch"}, random_image("L"), '`resize_mode` must be "crop" or "pad", got \'stretch\''),
        ({"size": {"height": 16, "width": 8}}, random_image("L"), "`size` must have the same height and width"),
        ({}, np.full((8, 8, 3), 2.5), r"a float image must lie in \[0, 1\], got \[2.5, 2.5\]"),
    ],
)
def test_what_is_refused(options, image, message):
    with pytest.raises(ValueError, match=message):
        DCGANImageProcessor(**options)(image)


def test_it_is_saved_with_the_discriminator(tmp_path):
    config = DCGANDiscriminatorConfig(image_size=16, num_channels=1, hidden_size=4, resize_mode="pad")
    DCGANDiscriminator(config).save_pretrained(tmp_path)
    content = json.loads((tmp_path / "preprocessor_config.json").read_text())
    # With these, transformers' pipelines ask whether to run the code of a video processor.
    assert not {"auto_map", "image_processor_type"} & content.keys()
    processor = AutoImageProcessor.from_pretrained(tmp_path)
    assert type(processor) is DCGANImageProcessor and not is_torchvision_available()
    assert (processor.size.height, processor.num_channels, processor.resize_mode) == (16, 1, "pad")
    image = random_image("RGB")
    expected = DCGANImageProcessor(size=16, num_channels=1, resize_mode="pad")(image, return_tensors="pt")
    assert torch.equal(processor(image, return_tensors="pt").pixel_values, expected.pixel_values)
