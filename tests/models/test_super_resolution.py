"""Tests of the super-resolution generator and its pipeline."""

import numpy as np
import PIL.Image
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ImageCms
from sklearn.datasets import load_sample_image
from transformers import AutoModel

from dcgan_hf import (
    DCGANDiscriminator,
    DCGANDiscriminatorConfig,
    DCGANGenerator,
    DCGANGeneratorConfig,
    DCGANPipeline,
    DCGANSuperResolutionConfig,
    DCGANSuperResolutionGenerator,
    DCGANSuperResolutionPipeline,
)
from dcgan_hf.image_processing_dcgan import convert_channels, to_srgb


LAYERS = ["transposed_convolution", "pixel_shuffle", "pixel_shuffle_direct"]
PHOTO = PIL.Image.fromarray(load_sample_image("china.jpg"))


def make_generator(trained=True, **config):
    torch.manual_seed(0)
    generator = DCGANSuperResolutionGenerator(
        DCGANSuperResolutionConfig(**{"hidden_size": 8, "num_blocks": 2, "scale_factor": 2} | config)
    )
    if trained:  # only so far that the residual is not 0
        torch.nn.init.normal_(generator.image_convolution.weight, std=0.05)
    return generator.eval()


def make_pipe(**config):
    pipe = DCGANSuperResolutionPipeline(make_generator(**config))
    pipe.set_progress_bar_config(disable=True)
    return pipe


# ---- network ----


@pytest.mark.parametrize("scale_factor", [2, 3, 4, 8])
@pytest.mark.parametrize("upsampling", LAYERS)
def test_an_untrained_network_returns_pillows_bicubic_image(scale_factor, upsampling):
    pipe = make_pipe(trained=False, scale_factor=scale_factor, upsampling=upsampling, num_channels=3)
    small = PHOTO.resize((37, 23))
    large = pipe(small).images[0]
    expected = small.resize((37 * scale_factor, 23 * scale_factor), PIL.Image.Resampling.BICUBIC)
    difference = np.abs(np.asarray(large, int) - np.asarray(expected, int))
    # Pillow also rounds and clips between its two passes.
    assert difference.max() <= 5 and difference.mean() < 0.3


@pytest.mark.parametrize("scale_factor", [2, 3, 8])
@pytest.mark.parametrize("upsampling", LAYERS[:2])
def test_no_checkerboard(scale_factor, upsampling):
    """The result of a uniform area is uniform, outside the influence of the border."""
    generator = make_generator(scale_factor=scale_factor, upsampling=upsampling)
    border = generator.config.receptive_radius
    with torch.no_grad():
        pixels = generator(torch.full((1, 3, 2 * border + 4, 2 * border + 4), 0.3)).pixel_values[0]
    inner = pixels[:, border * scale_factor : -border * scale_factor, border * scale_factor : -border * scale_factor]
    assert (inner - 0.3).abs().max() > 1e-3 and inner.std((1, 2)).max() < 1e-6


@pytest.mark.parametrize("scale_factor", [2, 3, 4])
@pytest.mark.parametrize("upsampling", LAYERS)
def test_receptive_radius(scale_factor, upsampling):
    """A pixel changes the result up to this distance, and no farther."""
    generator = make_generator(scale_factor=scale_factor, upsampling=upsampling)
    radius = generator.config.receptive_radius
    image = torch.zeros(1, 3, 2 * radius + 5, 2 * radius + 5)
    changed = image.clone()
    changed[0, :, radius + 2, radius + 2] = 1
    with torch.no_grad():
        difference = (generator(changed).pixel_values - generator(image).pixel_values).abs().sum((0, 1))
    rows = torch.nonzero(difference.sum(1)) // scale_factor
    assert radius + 2 - rows.min() in (radius - 1, radius) and rows.max() - radius - 2 in (radius - 1, radius)


def test_attention_weights_the_residual_of_a_block():
    """With a gate that is open everywhere, it is the block without attention."""
    plain, attending = (make_generator(block_type=name) for name in ("residual", "pixel_attention"))
    attending.load_state_dict(plain.state_dict(), strict=False)
    pixel_values = torch.rand(1, 3, 6, 7) * 2 - 1
    with torch.no_grad():
        expected = plain(pixel_values).pixel_values
        assert not torch.allclose(attending(pixel_values).pixel_values, expected, atol=1e-4)
        for block in attending.blocks:
            block.attention.weight.zero_()
            block.attention.bias.fill_(100)
        torch.testing.assert_close(attending(pixel_values).pixel_values, expected)


def test_bfloat16_keeps_the_bicubic_part_exact():
    generator = make_generator(trained=False)
    pixel_values = torch.rand(2, 3, 9, 7) * 2 - 1
    with torch.no_grad():
        expected = generator(pixel_values).pixel_values
        assert torch.equal(generator.to(torch.bfloat16)(pixel_values).pixel_values, expected)


def test_self_ensemble_is_equivariant():
    """Its result for a flipped and turned image is the flipped and turned result."""
    pipe = make_pipe()
    image = torch.rand(3, 9, 14)
    large = pipe(image, output_type="pt", self_ensemble=True).images[0]
    other = pipe(torch.rot90(image.flip(2), 1, (1, 2)), output_type="pt", self_ensemble=True).images[0]
    torch.testing.assert_close(other, torch.rot90(large.flip(2), 1, (1, 2)))
    views = [
        torch.rot90(pipe(torch.rot90(image, n, (1, 2)), output_type="pt").images[0], -n, (1, 2)) for n in range(4)
    ]
    assert (large - views[0]).abs().max() > 1e-3 and len(views) == 4
    tiled = pipe(image, tile_size=4, output_type="pt", self_ensemble=True).images[0]
    torch.testing.assert_close(tiled, large)


def test_saved_and_loaded(tmp_path):
    generator = make_generator(upsampling="pixel_shuffle", block_type="pixel_attention", num_channels=1)
    generator.save_pretrained(tmp_path)
    pixel_values = torch.rand(1, 1, 5, 8)
    for loaded in (DCGANSuperResolutionGenerator.from_pretrained(tmp_path), AutoModel.from_pretrained(tmp_path)):
        assert torch.equal(loaded(pixel_values).pixel_values, generator(pixel_values).pixel_values)
    (large,) = generator(pixel_values, return_dict=False)
    assert large.shape == (1, 1, 10, 16)


def test_the_default_network_has_as_many_parameters_as_its_documentation_says():
    with torch.device("meta"):
        number = DCGANSuperResolutionGenerator(DCGANSuperResolutionConfig()).num_parameters()
    assert f"{number:,} parameters" in DCGANSuperResolutionConfig.__doc__


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"scale_factor": 5}, r"`scale_factor` must be one of \[2, 3, 4, 8\], got 5"),
        ({"num_channels": 4}, r"`num_channels` must be 1 \(grey\) or 3 \(RGB\), got 4"),
        ({"num_blocks": 0}, "`num_blocks` must be at least 1, got 0"),
        ({"leaky_relu_slope": -1.0}, "`leaky_relu_slope` must be 0 or a positive number, got -1.0"),
        ({"upsampling": "bilinear"}, "upsampling"),
    ],
)
def test_bad_configs(fields, message):
    with pytest.raises(Exception, match=message):
        DCGANSuperResolutionConfig(**fields)


@pytest.mark.parametrize("shape", [(1, 1, 4, 4), (3, 4, 4), (1, 3, 0, 4)])
def test_bad_pixel_values(shape):
    with pytest.raises(ValueError, match=r"must have shape \(batch_size, 3, height, width\), all non-zero, got"):
        make_generator()(torch.zeros(shape))


# ---- pipeline ----


@settings(max_examples=8, deadline=None)
@given(st.integers(1, 24), st.integers(1, 24), st.integers(5, 20), st.sampled_from([2, 3]), st.sampled_from(LAYERS))
def test_tiles_leave_no_trace(height, width, tile_size, scale_factor, upsampling):
    pipe = make_pipe(num_blocks=1, scale_factor=scale_factor, upsampling=upsampling)
    image = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))
    whole = pipe(image, tile_size=64, output_type="pt").images
    tiled = pipe(image, tile_size=tile_size, output_type="pt").images
    torch.testing.assert_close(tiled, whole, rtol=0, atol=1e-5)


def test_a_photo_in_tiles_is_the_photo_in_one_piece():
    pipe = make_pipe()
    photo = PHOTO.crop((0, 0, 150, 110))
    whole, tiled = (np.asarray(pipe(photo, tile_size=size).images[0], int) for size in (150, 64))
    assert tiled.shape == (220, 300, 3) and np.abs(whole - tiled).max() <= 1


def test_images_of_all_kinds_stay_what_they_are(tmp_path):
    pipe = make_pipe()
    grey = PHOTO.convert("L").resize((12, 9))
    colour = PHOTO.resize((12, 9))
    clear = colour.convert("RGBA")
    clear.putalpha(grey)
    sixteen = PIL.Image.fromarray(np.arange(108, dtype=np.uint16).reshape(9, 12) * 600)
    floats = PIL.Image.fromarray((np.asarray(grey) / 255).astype(np.float32))
    images = [grey, colour, clear, clear.convert("LA"), sixteen, floats, grey.convert("1"), colour.convert("P")]
    large = pipe(images).images
    assert [image.mode for image in large] == ["L", "RGB", "RGBA", "LA", "I;16", "F", "L", "RGB"]
    assert {image.size for image in large} == {(24, 18)}
    alpha = grey.resize((24, 18), PIL.Image.Resampling.BICUBIC)
    assert np.abs(np.asarray(large[2].getchannel("A"), int) - np.asarray(alpha, int)).max() <= 3
    # 16 bits, not 8: there are values between the multiples of 257.
    assert len(np.unique(np.asarray(large[4]) % 257)) > 50
    np.testing.assert_allclose(np.asarray(large[5]) * 255, np.asarray(large[0]), atol=0.51)
    # A photograph in portrait orientation.
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    colour.save(tmp_path / "turned.jpg", exif=exif)
    assert pipe(PIL.Image.open(tmp_path / "turned.jpg")).images[0].size == (18, 24)


def test_arrays_and_tensors():
    pipe = make_pipe()
    bytes_ = np.asarray(PHOTO.resize((10, 6)))
    expected = np.asarray(pipe(PHOTO.resize((10, 6))).images[0], int)
    floats = (bytes_ / 255).astype(np.float32)
    for image in (bytes_, floats, floats[None], torch.from_numpy(floats).permute(2, 0, 1)):
        large = pipe(image, output_type="np").images
        assert large.shape == (1, 12, 20, 3) and large.dtype == np.float32
        assert np.abs(large[0] * 255 - expected).max() < 0.51
    tensors = pipe([torch.rand(3, 4, 5), torch.rand(3, 6, 5)], output_type="pt").images
    assert [tuple(tensor.shape) for tensor in tensors] == [(3, 8, 10), (3, 12, 10)]
    (batch,) = pipe(torch.rand(5, 1, 4, 4), output_type="pt", return_dict=False)
    assert batch.shape == (5, 1, 8, 8) and 0 <= batch.min() and batch.max() <= 1
    assert pipe(np.random.rand(4, 4)).images[0].mode == "L"
    assert pipe(bytes_.astype(np.uint16)[..., 0] * 257).images[0].mode == "I;16"


def random_cut_out(seed, height, width):
    """Returns colours and, as the last channel, alpha: 0, 1 and values between."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (height, width, 4), dtype=np.uint8)
    pixels[..., 3] = np.clip(rng.normal(128, 200, (height, width)), 0, 255)
    return pixels


def test_a_white_disc_has_no_dark_rim():
    rows, columns = np.mgrid[:24, :24] - 11.5
    alpha = (255 * np.clip(9 - np.hypot(rows, columns), 0, 1)).astype(np.uint8)
    white = np.where(alpha > 0, 255, 0).astype(np.uint8)  # the hidden colour is black
    for channels in ([white], [white] * 3):
        disc = PIL.Image.fromarray(np.dstack([*channels, alpha]))
        large = np.asarray(make_pipe(trained=False)(disc, tile_size=10).images[0])
        pillow = np.asarray(disc.resize((48, 48), PIL.Image.Resampling.BICUBIC))
        assert large[large[..., -1] > 0][:, :-1].min() == pillow[pillow[..., -1] > 0][:, :-1].min() == 255


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 20), st.integers(1, 20))
def test_colours_count_in_proportion_to_alpha(seed, height, width):
    """As in Pillow's `resize`. Its own result for such noise differs more, because it clips after each pass."""
    pixels = random_cut_out(seed, height, width) / np.float32(255)

    def enlarge(channel):
        size = 2 * width, 2 * height
        return np.asarray(PIL.Image.fromarray(channel).resize(size, PIL.Image.Resampling.BICUBIC))

    alpha = enlarge(pixels[..., 3])
    colors = np.dstack([enlarge(pixels[..., i] * pixels[..., 3]) for i in range(3)])
    large = make_pipe(trained=False)(pixels, output_type="np").images[0]
    np.testing.assert_allclose(large[..., 3], alpha.clip(0, 1), atol=1e-4)
    is_visible = alpha > 0.01
    expected = (colors[is_visible] / alpha[is_visible, None]).clip(0, 1)
    np.testing.assert_allclose(large[is_visible, :3], expected, atol=1e-3)


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 20), st.integers(1, 20), st.integers(6, 20))
def test_hidden_colours_have_no_influence_and_opaque_images_no_other_result(seed, height, width, tile_size):
    pipe = make_pipe(num_blocks=1)
    pixels = random_cut_out(seed, height, width)
    other = np.where(pixels[..., 3:] == 0, random_cut_out(seed + 1, height, width), pixels)
    other[..., 3] = pixels[..., 3]
    large = pipe(pixels, tile_size=tile_size, output_type="np").images
    assert np.array_equal(pipe(other, tile_size=tile_size, output_type="np").images, large)
    np.testing.assert_allclose(pipe(pixels, output_type="np").images, large, atol=1e-4)
    pixels[..., 3] = 255
    large = np.asarray(pipe(PIL.Image.fromarray(pixels)).images[0])
    assert np.array_equal(large[..., :3], pipe(PIL.Image.fromarray(pixels[..., :3])).images[0])
    assert large[..., 3].min() == 255


def profile_of(color_space):
    """Returns a profile whose header says that it describes this colour space: CMYK's need not convert anything."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[16:20] = color_space
    return bytes(profile)


def test_profile_and_resolution_are_handed_on(tmp_path):
    pipe = make_pipe()
    grey, colour = PHOTO.convert("L").resize((12, 9)), PHOTO.resize((12, 9))
    rgb, other = profile_of(b"RGB "), profile_of(b"GRAY")
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    colour.save(tmp_path / "photo.jpg", icc_profile=rgb, dpi=(300, 200), exif=exif)
    large = pipe(PIL.Image.open(tmp_path / "photo.jpg")).images[0]
    assert large.size == (18, 24) and large.info == {"icc_profile": rgb, "dpi": (200, 300)}
    large.save(tmp_path / "large.png", dpi=large.info["dpi"])
    with PIL.Image.open(tmp_path / "large.png") as saved:
        assert saved.info["icc_profile"] == rgb and saved.info["dpi"] == pytest.approx((200, 300), abs=0.02)
        assert saved.getexif().get(0x0112) is None
    for image, profile, kept in (
        (grey, other, True),
        (grey, rgb, False),
        (colour, other, False),
        (colour.convert("P"), rgb, True),
        (colour.convert("RGBA"), rgb, True),
        (colour, b"no profile", False),
    ):
        image.info = {"icc_profile": profile, "dpi": (0, float("nan"))}
        assert pipe(image).images[0].info == ({"icc_profile": profile} if kept else {})
    # Pixels in CMYK do not keep their profile. This one is damaged, so that it cannot convert them, either.
    ink = colour.convert("CMYK")
    ink.info["icc_profile"] = profile_of(b"CMYK")
    large = pipe(ink).images[0]
    assert large.info == {} and np.array_equal(large, pipe(ink.convert("RGB")).images[0])


def test_a_profile_of_inks_converts_to_srgb():
    image = PHOTO.resize((12, 9))
    image.info["icc_profile"] = profile_of(b"RGB ")
    converted = to_srgb(image)
    assert converted.mode == "RGB" and converted.info["icc_profile"][16:20] == b"RGB "
    assert np.abs(np.asarray(converted, int) - np.asarray(image, int)).max() <= 1  # from sRGB to sRGB


def test_16_bits(tmp_path):
    """Colours have 16 bits in arrays. Pillow has no 16-bit grey with alpha: a hidden value becomes alpha."""
    pipe = make_pipe(trained=False)
    deep = np.arange(108 * 3, dtype=np.uint16).reshape(9, 12, 3) * 200
    large = pipe(deep, output_type="np").images[0]
    assert np.array_equal(large, pipe((deep / 65535).astype(np.float32), output_type="np").images[0])
    assert len(np.unique((large * 65535).round() % 257)) > 50
    eight = pipe(deep).images[0]
    assert eight.mode == "RGB" and np.abs(np.asarray(eight) - large * 255).max() < 0.51

    grey = np.full((8, 8), 60_000, np.uint16)
    grey[:, :4] = 0
    PIL.Image.fromarray(grey).save(tmp_path / "hole.png", transparency=0)
    with PIL.Image.open(tmp_path / "hole.png") as image:
        large = np.asarray(pipe(image).images[0])
        assert large.shape == (16, 16, 2) and set(large[large[..., 1] > 0][:, 0]) == {round(60_000 / 257)}
        assert large[:, :7, 1].max() < 20 and large[:, 9:, 1].min() > 235
        assert convert_channels(image, 1).getextrema() == (233, 255)  # on white


def test_images_do_not_depend_on_others():
    pipe = make_pipe()
    images = [PHOTO.crop((i, i, i + size, i + 11)) for i, size in enumerate((9, 14, 9, 30, 9))]
    together = pipe(images, tile_size=16).images
    for image, large in zip(images, together):
        assert np.abs(np.asarray(pipe(image).images[0], int) - np.asarray(large, int)).max() <= 1


def test_a_training_network_is_not_changed():
    pipe = make_pipe()
    pipe.generator.train()
    pipe(PHOTO.resize((8, 8)))
    assert pipe.generator.training


@pytest.mark.parametrize(
    "image, options, message",
    [
        ([], {}, "must contain at least one image, got none"),
        (torch.zeros(3, 0, 4), {}, r"number 0: an image must have at least one pixel, got shape \(3, 0, 4\)"),
        (PIL.Image.new("L", (0, 4)), {}, r"`image` number 0 must have at least one pixel, got shape \(1, 4, 0\)"),
        (torch.full((3, 4, 4), torch.nan), {}, r"must lie in \[0, 1\], got \[nan, nan\]"),
        (
            [PHOTO, np.full((4, 4, 3), 300.0)],
            {},
            r"number 1: a float image must lie in \[0, 1\], got \[300.0, 300.0\]",
        ),
        (PIL.Image.new("F", (4, 4), 1.5), {}, r"number 0 must have values in \[0, 1\], got \[1.5, 1.5\]"),
        (np.zeros((3, 4, 4)), {}, None),
        (
            np.zeros((4, 5, 7)),
            {},
            r"`image` number 0: an image of shape \(4, 5, 7\) has 7 channels as channels_last",
        ),
        (np.zeros((2, 3, 4, 4, 3)), {}, r"1, 2, 3 or 4 channels, got \(2, 3, 4, 4, 3\)"),
        (np.zeros((4, 4), np.int64), {}, "`image` number 0: the range of int64 pixels is unknown. Allowed are uint8"),
        (PIL.Image.fromarray(np.full((4, 4), 200, np.int32)), {}, "has values up to 200. Are these bytes?"),
        ("photo.jpg", {}, "must be a PIL image, an array or a tensor, got str"),
        (PHOTO, {"tile_size": 0}, "`tile_size` must be a positive integer, got 0"),
        (PHOTO, {"output_type": "latent"}, '`output_type` must be "pil", "np" or "pt", got \'latent\''),
    ],
)
def test_bad_images(image, options, message):
    if message is None:  # 3 rows of 4 pixels with 4 channels: nothing is wrong
        assert make_pipe()(image, **options).images[0].mode == "RGBA"
        return
    with pytest.raises(ValueError, match=message):
        make_pipe()(image, **options)


def test_a_grey_model_refuses_colours():
    with pytest.raises(
        ValueError, match=r'is a colour image, but the generator upscales grey images only. .*convert\("L"\)'
    ):
        make_pipe(num_channels=1)(PHOTO)
    assert make_pipe(num_channels=1)(PHOTO.convert("LA").resize((8, 8))).images[0].mode == "LA"


def test_pipelines_are_not_mixed_up(tmp_path):
    make_pipe().save_pretrained(tmp_path / "x2")
    with pytest.raises(ValueError, match="Use `DCGANSuperResolutionPipeline.from_pretrained` instead of `DCGANPipe"):
        DCGANPipeline.from_pretrained(tmp_path / "x2")
    config = DCGANGeneratorConfig(image_size=16, hidden_size=4)
    DCGANPipeline(DCGANGenerator(config)).save_pretrained(tmp_path / "dcgan")
    with pytest.raises(
        ValueError, match="The saved pipeline is a `DCGANPipeline`, and its generator is a `DCGANGenerator`"
    ):
        DCGANSuperResolutionPipeline.from_pretrained(tmp_path / "dcgan")


# ---- the discriminator of patches ----


def test_a_patchwise_discriminator_takes_images_of_any_size(tmp_path):
    config = DCGANDiscriminatorConfig(image_size=32, hidden_size=8, patchwise=True)
    discriminator = DCGANDiscriminator(config).eval()
    assert discriminator(torch.rand(2, 3, 32, 32)).logits.shape == (2, 4, 4)
    output = discriminator(torch.rand(2, 3, 41, 64), output_hidden_states=True)
    assert output.logits.shape == (2, *output.hidden_states[-1].shape[2:])
    discriminator.save_pretrained(tmp_path)
    loaded = DCGANDiscriminator.from_pretrained(tmp_path)
    pixel_values = torch.rand(1, 3, 48, 32)
    assert torch.equal(loaded(pixel_values).logits, discriminator(pixel_values).logits)
    # The score of a patch depends on its pixels only.
    image = torch.rand(1, 3, 128, 128)
    changed = image.clone()
    changed[..., :8, :8] = 0
    difference = (discriminator(image).logits - discriminator(changed).logits).abs()[0]
    assert difference[0, 0] > 0 and difference[8:, 8:].max() == 0
    with pytest.raises(ValueError, match=r"must have shape \(batch_size, 3, height, width\), got \(1, 1, 32, 32\)"):
        discriminator(torch.rand(1, 1, 32, 32))
    with pytest.raises(Exception, match="only a discriminator of whole images can be class-conditional"):
        DCGANDiscriminatorConfig(patchwise=True, num_classes=3)


def test_the_callback_counts_every_pixel():
    counted = []
    make_pipe()([PHOTO.resize((37, 23)), PHOTO.resize((8, 5))], tile_size=16, callback_on_tiles_end=counted.append)
    assert sum(counted) == 37 * 23 + 8 * 5 and len(counted) > 1


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_an_opaque_image_is_that_without_alpha(mode):
    pipe = make_pipe(num_channels=3)
    image = PHOTO.resize((19, 11)).convert(mode)
    large, plain = (pipe(one).images[0] for one in (image, image.convert(mode[:-1])))
    assert large.mode == mode and large.getchannel("A").getextrema() == (255, 255)
    assert np.array_equal(large.convert(mode[:-1]), plain)
    array = pipe(image, output_type="np").images
    assert array.shape == (1, 22, 38, len(mode)) and array[..., -1].min() == 1
