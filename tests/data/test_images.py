# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
import io

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcgan_hf.data.decoding import decode_image, encoded_to_array, infer_num_channels
from dcgan_hf.image_processing_dcgan import convert_channels, fit_image, turn_upright


MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def encode(image: PIL.Image.Image, format: str = "PNG", **kwargs) -> dict:
    buffer = io.BytesIO()
    image.save(buffer, format, **kwargs)
    return {"bytes": buffer.getvalue(), "path": None}


def pixel(image: PIL.Image.Image, num_channels: int) -> tuple[int, ...]:
    """Returns the first pixel after conversion, always as a tuple."""
    converted = convert_channels(image, num_channels)
    assert converted.mode == MODES[num_channels] and converted.size == image.size
    return tuple(np.asarray(converted).reshape(-1, num_channels)[0].tolist())


def random_image(width: int, height: int, mode: str = "L") -> PIL.Image.Image:
    shape = (height, width) if mode == "L" else (height, width, len(mode))
    return PIL.Image.fromarray(np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8))


def palette_image() -> PIL.Image.Image:
    image = PIL.Image.new("P", (3, 2), 1)
    image.putpalette([0, 0, 0, 200, 100, 50])
    return image


@pytest.mark.parametrize("num_channels", [1, 3, 4])
@pytest.mark.parametrize(
    "mode, color", [("1", 1), ("L", 255), ("LA", (255, 255)), ("RGB", "white"), ("RGBA", "white"), ("CMYK", 0)]
)
def test_white_stays_white_in_every_mode(mode, color, num_channels):
    assert pixel(PIL.Image.new(mode, (3, 2), color), num_channels) == (255,) * num_channels


@pytest.mark.parametrize("mode, color", [("1", 0), ("L", 0), ("RGB", "black"), ("CMYK", (0, 0, 0, 255))])
def test_black_stays_black_in_opaque_modes(mode, color):
    assert pixel(PIL.Image.new(mode, (3, 2), color), 1) == (0,)
    assert pixel(PIL.Image.new(mode, (3, 2), color), 3) == (0, 0, 0)
    assert pixel(PIL.Image.new(mode, (3, 2), color), 4) == (0, 0, 0, 255)


def test_grey_and_colour_values_are_kept():
    assert pixel(PIL.Image.new("L", (3, 2), 77), 3) == (77, 77, 77)
    assert pixel(PIL.Image.new("RGB", (3, 2), (10, 20, 30)), 3) == (10, 20, 30)
    assert pixel(PIL.Image.new("RGB", (3, 2), (10, 20, 30)), 4) == (10, 20, 30, 255)
    assert pixel(PIL.Image.new("CMYK", (3, 2), (0, 255, 255, 0)), 3) == (255, 0, 0)
    assert pixel(PIL.Image.new("RGB", (3, 2), (255, 0, 0)), 1) == (76,)  # ITU-R 601: 0.299 * 255


@pytest.mark.parametrize("mode, color", [("LA", (0, 0)), ("RGBA", (0, 0, 0, 0)), ("RGBA", (255, 0, 0, 0))])
def test_transparent_pixels_become_white_unless_alpha_is_kept(mode, color):
    image = PIL.Image.new(mode, (3, 2), color)
    assert pixel(image, 1) == (255,)
    assert pixel(image, 3) == (255, 255, 255)
    assert pixel(image, 4)[3] == 0


def test_half_transparent_pixels_are_blended_with_white():
    assert pixel(PIL.Image.new("RGBA", (3, 2), (0, 0, 0, 128)), 3) == (127, 127, 127)
    assert pixel(PIL.Image.new("LA", (3, 2), (0, 51)), 1) == (204,)
    assert pixel(PIL.Image.new("RGBA", (3, 2), (9, 8, 7, 128)), 4) == (9, 8, 7, 128)
    assert pixel(PIL.Image.new("LA", (3, 2), (9, 51)), 4) == (9, 9, 9, 51)


def test_palette_without_transparency():
    assert pixel(palette_image(), 3) == (200, 100, 50)
    assert pixel(palette_image(), 4) == (200, 100, 50, 255)
    assert pixel(palette_image(), 1) == pixel(PIL.Image.new("RGB", (3, 2), (200, 100, 50)), 1)


@pytest.mark.parametrize("format", ["PNG", "GIF"])
def test_palette_with_transparency(format):
    image = decode_image(encode(palette_image(), format, transparency=1))
    assert image.mode == "P"
    assert pixel(image, 1) == (255,)
    assert pixel(image, 3) == (255, 255, 255)
    assert pixel(image, 4)[3] == 0


def test_palette_with_alpha_channel():
    opaque = PIL.Image.new("RGBA", (3, 2), (200, 100, 50, 255)).convert("PA")
    assert opaque.mode == "PA"
    assert pixel(opaque, 4)[3] == 255
    transparent = opaque.copy()
    transparent.putalpha(0)
    assert transparent.mode == "PA"
    assert pixel(transparent, 1) == (255,)
    assert pixel(transparent, 3) == (255, 255, 255)
    assert pixel(transparent, 4)[3] == 0


@pytest.mark.parametrize("mode, color, transparency", [("L", 7, 7), ("RGB", (1, 2, 3), (1, 2, 3))])
def test_png_with_one_transparent_colour(mode, color, transparency):
    image = decode_image(encode(PIL.Image.new(mode, (3, 2), color), transparency=transparency))
    assert pixel(image, 3) == (255, 255, 255)
    assert pixel(image, 4)[3] == 0


@pytest.mark.parametrize("value, expected", [(0, 0), (257, 1), (32896, 128), (65278, 254), (65535, 255)])
def test_16_bit_png_keeps_its_upper_bits(value, expected):
    image = decode_image(encode(PIL.Image.fromarray(np.full((2, 3), value, np.uint16))))
    assert image.mode == "I;16"
    assert pixel(image, 1) == (expected,)
    assert pixel(image, 3) == (expected,) * 3
    assert pixel(image, 4) == (expected,) * 3 + (255,)


def test_16_bit_images_are_converted_pixel_by_pixel():
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    converted = np.asarray(convert_channels(PIL.Image.fromarray(values), 1)).astype(int)
    assert np.abs(converted * 257 - values).max() <= 128  # the nearest 8-bit value
    assert np.array_equal(np.unique(converted), np.arange(256))


def test_big_endian_16_bit_tiff():
    image = PIL.Image.frombytes("I;16B", (1, 1), (32896).to_bytes(2, "big"))
    assert pixel(image, 1) == (128,)


def test_32_bit_integer_images_are_taken_as_16_bit():
    assert pixel(PIL.Image.fromarray(np.full((2, 3), 65535, np.int32)), 1) == (255,)
    assert pixel(PIL.Image.fromarray(np.full((2, 3), 32896, np.int32)), 3) == (128, 128, 128)


def test_bytes_in_32_bits_do_not_turn_black():
    with pytest.raises(ValueError, match="32 bits has values up to 200. Are these bytes"):
        convert_channels(PIL.Image.fromarray(np.full((2, 3), 200, np.int32)), 1)
    assert pixel(PIL.Image.new("I", (3, 2), 0), 1) == (0,)


@pytest.mark.parametrize("value, expected", [(0.0, 0), (0.5, 128), (1.0, 255), (100 / 255, 100)])
def test_float_images_are_taken_as_0_to_1(value, expected):
    image = PIL.Image.fromarray(np.full((2, 3), value, np.float32))
    assert image.mode == "F"
    assert pixel(image, 1) == (expected,)
    assert pixel(image, 3) == (expected,) * 3
    assert pixel(decode_image(encode(image, "TIFF")), 1) == (expected,)


@pytest.mark.parametrize("low, high", [(0.0, 255.0), (-1.0, 1.0), (0.0, float("nan"))])
def test_float_images_out_of_range(low, high):
    image = PIL.Image.fromarray(np.array([[low, high]], np.float32))
    with pytest.raises(ValueError, match=r"float image must lie in \[0, 1\], got \[[-\d.na]+, [\d.na]+\]"):
        convert_channels(image, 1)


@pytest.mark.parametrize("low, high", [(0, 65536), (-1, 10)])
def test_integer_images_out_of_range(low, high):
    image = PIL.Image.fromarray(np.array([[low, high]], np.int32))
    with pytest.raises(ValueError, match=rf"integer image must lie in \[0, 65535\], got \[{low}, {high}\]"):
        convert_channels(image, 3)


@pytest.mark.parametrize(
    "mode, expected",
    [("1", 1), ("L", 1), ("LA", 1), ("I", 1), ("F", 1), ("I;16", 1), ("I;16B", 1)]
    + [("P", 3), ("PA", 3), ("RGB", 3), ("RGBA", 3), ("CMYK", 3), ("YCbCr", 3)],
)
def test_infer_num_channels(mode, expected):
    assert infer_num_channels(PIL.Image.new(mode, (3, 2))) == expected


def test_pad_of_mnist_leaves_it_untouched_with_a_black_border():
    image = random_image(28, 28)
    padded = np.asarray(fit_image(image, 32, "pad"))
    assert padded.shape == (32, 32)
    assert np.array_equal(padded[2:30, 2:30], np.asarray(image))
    padded = padded.copy()
    padded[2:30, 2:30] = 0
    assert not padded.any()


def test_pad_never_enlarges_and_centres():
    padded = np.asarray(fit_image(PIL.Image.new("RGB", (5, 2), "white"), 9, "pad"))
    expected = np.zeros((9, 9, 3), np.uint8)
    expected[4:6, 2:7] = 255  # the odd row goes to the top
    assert np.array_equal(padded, expected)


def test_pad_scales_down_what_is_too_large():
    padded = np.asarray(fit_image(PIL.Image.new("L", (64, 32), 255), 16, "pad"))
    assert (padded[4:12] == 255).all()
    assert not padded[:4].any() and not padded[12:].any()


def test_pad_keeps_a_line_of_a_very_long_image():
    padded = np.asarray(fit_image(PIL.Image.new("L", (1, 1000), 255), 16, "pad"))
    assert (padded == 255).sum() == 16 and len(np.flatnonzero(padded.any(axis=0))) == 1


def test_pad_border_is_transparent_with_alpha():
    padded = np.asarray(fit_image(PIL.Image.new("RGBA", (2, 2), "white"), 4, "pad"))
    assert np.array_equal(padded[1:3, 1:3], np.full((2, 2, 4), 255))
    assert not padded[0].any()


def test_crop_of_a_wide_image_takes_the_centre():
    image = random_image(20, 8, "RGB")
    assert np.array_equal(np.asarray(fit_image(image, 8, "crop")), np.asarray(image)[:, 6:14])


def test_crop_of_a_high_image_takes_the_centre():
    image = random_image(8, 20)
    assert np.array_equal(np.asarray(fit_image(image, 8, "crop")), np.asarray(image)[6:14])


def test_crop_scales_the_shorter_side():
    stripes = np.zeros((8, 24), np.uint8)
    stripes[:, 8:16] = 255  # the middle third remains
    cropped = np.asarray(fit_image(PIL.Image.fromarray(stripes), 32, "crop"))
    assert cropped.shape == (32, 32) and (cropped[:, 3:-3] > 250).all()
    assert np.asarray(fit_image(random_image(100, 50), 16, "crop")).shape == (16, 16)


@pytest.mark.parametrize("resize_mode", ["crop", "pad"])
def test_fitting_image_is_not_touched(resize_mode):
    image = random_image(16, 16, "RGB")
    assert np.array_equal(np.asarray(fit_image(image, 16, resize_mode)), np.asarray(image))


@settings(max_examples=150, deadline=None)
@given(
    width=st.integers(1, 300),
    height=st.integers(1, 300),
    resolution=st.integers(1, 64),
    resize_mode=st.sampled_from(["crop", "pad"]),
)
def test_fit_image_always_gives_the_resolution(width, height, resolution, resize_mode):
    image = fit_image(PIL.Image.new("L", (width, height), 255), resolution, resize_mode)
    assert image.size == (resolution, resolution)
    pixels = np.asarray(image)
    if resize_mode == "crop":
        assert (pixels == 255).all()  # never a border
    else:
        scale = min(1.0, resolution / max(width, height))
        assert (pixels == 255).sum() == max(1, round(width * scale)) * max(1, round(height * scale))


@pytest.mark.parametrize("orientation, turned", [(1, 0), (3, 2), (6, 3), (8, 1)])
def test_rotated_photos_are_upright(orientation, turned):
    pixels = np.zeros((16, 32), np.uint8)
    pixels[:8, :8] = 255
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    image = decode_image(encode(PIL.Image.fromarray(pixels), "JPEG", exif=exif, quality=100))
    assert np.abs(np.asarray(image).astype(int) - np.rot90(pixels, turned)).max() < 10


@pytest.mark.parametrize("format", ["PNG", "WEBP", "JPEG"])
def test_damaged_exif_says_nothing(format):
    image = random_image(5, 4, "RGB")
    encoded = encode(image, format, exif=b"Exif\0\0no TIFF header", lossless=True, quality=100)
    decoded = decode_image(encoded)
    assert decoded.size == (5, 4) and (format == "JPEG" or np.array_equal(np.asarray(decoded), np.asarray(image)))
    assert turn_upright(PIL.Image.open(io.BytesIO(encoded["bytes"]))).size == (5, 4)


def test_decode_image_from_path(tmp_path):
    image = random_image(5, 4, "RGB")
    image.save(tmp_path / "a.png")
    decoded = decode_image({"bytes": None, "path": str(tmp_path / "a.png")})
    assert np.array_equal(np.asarray(decoded), np.asarray(image))


def test_row_without_image():
    with pytest.raises(ValueError, match="empty"):
        decode_image(None)


@pytest.mark.parametrize("num_channels", [1, 3, 4])
@pytest.mark.parametrize("resize_mode", ["crop", "pad"])
def test_encoded_to_array_is_channels_first_uint8(num_channels, resize_mode):
    array = encoded_to_array(encode(random_image(20, 9, "RGB")), num_channels, 16, resize_mode)
    assert array.shape == (num_channels, 16, 16) and array.dtype == np.uint8


def test_encoded_to_array_keeps_every_pixel_in_its_place():
    image = random_image(8, 8, "RGBA")
    array = encoded_to_array(encode(image), 4, 8, "crop")
    assert np.array_equal(array, np.asarray(image).transpose(2, 0, 1))
    grey = random_image(8, 8)
    assert np.array_equal(encoded_to_array(encode(grey), 1, 8, "pad")[0], np.asarray(grey))


@pytest.mark.parametrize("size", [(1, 1000), (1000, 1), (1, 1)])
@pytest.mark.parametrize("resize_mode", ["crop", "pad"])
def test_very_long_and_very_small_images(size, resize_mode):
    array = encoded_to_array(encode(PIL.Image.new("L", size, 255)), 3, 32, resize_mode)
    assert array.shape == (3, 32, 32) and array.max() == 255
