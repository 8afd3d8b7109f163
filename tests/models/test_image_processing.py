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
from dcgan_hf.image_processing_dcgan import array_to_image, array_to_pixels


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


DTYPES = ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]
DTYPES += ["float16", "float32", "float64", "complex64", ">u2", ">i4", ">f4", "U3", "O"]


@settings(max_examples=150, deadline=None)
@given(
    dtype=st.sampled_from(DTYPES),
    shape=st.lists(st.integers(0, 5), min_size=0, max_size=4).map(tuple),
    low=st.sampled_from([0, 0, 0, -1]),
    seed=st.integers(0, 9),
    as_tensor=st.booleans(),
)
def test_an_array_is_an_image_or_refused(dtype, shape, low, seed, as_tensor):
    """Compares every pixel with its definition: bytes, 16 bits / 257, or floats * 255. Nothing wraps around."""
    largest = {"uint8": 255, "uint16": 65535, ">u2": 65535}.get(dtype, 1)
    values = low + (1 - low) * np.random.default_rng(seed).random(shape)
    array = np.asarray(np.floor(values * (largest + 0.99)) if largest > 1 else values).astype(dtype)
    can_be_tensor = np.dtype(dtype).isnative and np.dtype(dtype).kind not in "UO"
    given_array = torch.from_numpy(array.copy()) if as_tensor and can_be_tensor else array
    is_image = (
        dtype in ("uint8", "uint16", ">u2") or np.dtype(dtype).kind == "f" and (not array.size or array.min() >= 0)
    )
    is_image &= len(shape) in (2, 3) and array.size > 0 and (len(shape) == 3 or 1 not in shape or array.size == 1)
    first = len(shape) == 3 and shape[0] in (1, 3, 4)
    is_image &= len(shape) == 2 or first or (len(shape) == 3 and shape[2] in (1, 3, 4))
    if not is_image:
        with pytest.raises(ValueError, match="`photo`: "):
            array_to_image(given_array, "`photo`")
        return
    expected = np.round(array.astype(np.float64) * (255 / largest)).astype(np.uint8)
    expected = expected.transpose(1, 2, 0) if first else expected.reshape(*shape[:2], -1)
    image = array_to_image(given_array, "`photo`")
    assert np.array_equal(np.asarray(image).reshape(expected.shape), expected)
    pixels = array_to_pixels(given_array, "`photo`")
    assert pixels.dtype == array.dtype and pixels.shape == expected.shape


@pytest.mark.parametrize("dtype", ["bool", "int32", "int64", "int16", "uint32"])
@pytest.mark.parametrize("kind", ["array", "tensor", "list"])
def test_types_of_unknown_range_are_refused(dtype, kind):
    array = np.full((8, 8, 3), 1).astype(dtype)
    images = {"array": array, "tensor": torch.from_numpy(array), "list": [random_image("L"), array]}[kind]
    with pytest.raises(ValueError, match=f"the range of {dtype} pixels is unknown. Allowed are uint8, uint16, and fl"):
        DCGANImageProcessor(size=16)(images)


def test_16_bit_arrays_keep_their_range_and_grey_ones_need_no_channels():
    array = np.random.default_rng(0).integers(0, 256, (16, 16), dtype=np.uint8)
    processor = DCGANImageProcessor(size=16, num_channels=1)
    expected = processor(PIL.Image.fromarray(array), return_tensors="np").pixel_values
    half = torch.from_numpy(array / 255).to(torch.bfloat16)
    for same in (array, [array], array.astype(np.uint16) * 257, array[None, None], torch.from_numpy(array)):
        assert np.array_equal(processor(same, return_tensors="np").pixel_values, expected)
    assert np.abs(processor(half, return_tensors="np").pixel_values - expected).max() < 0.02


def test_a_flattened_image_is_refused_with_the_reason():
    for flat in (np.zeros(784, np.uint8), np.zeros((1, 784), np.uint8)):
        with pytest.raises(
            ValueError, match=r"shape \((1, )?784,?\) is one line of numbers, perhaps a flattened image"
        ):
            DCGANImageProcessor(size=16)([flat])


@pytest.mark.parametrize("orientation, turned", [(1, 0), (3, 2), (6, 3), (8, 1)])
def test_photographs_are_turned_upright(tmp_path, orientation, turned):
    pixels = np.zeros((32, 32, 3), np.uint8)
    pixels[:16, :8] = 255
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    PIL.Image.fromarray(pixels).save(tmp_path / "photo.png", exif=exif)
    processor = DCGANImageProcessor(size=32)
    expected = processor(np.rot90(pixels, turned).copy(), return_tensors="np").pixel_values
    for photo in (PIL.Image.open(tmp_path / "photo.png"), str(tmp_path / "photo.png")):
        assert np.array_equal(processor(photo, return_tensors="np").pixel_values, expected)


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
