import numpy as np
import PIL.Image
import pytest
import torch
from safetensors.torch import load_file

from dcgan_hf import (
    DCGANDiscriminator,
    DCGANDiscriminatorConfig,
    DCGANGenerator,
    DCGANGeneratorConfig,
    DCGANPipeline,
)
from dcgan_hf.interpretability.arguments import SearchArguments
from dcgan_hf.interpretability.inversion import invert, prepare_images

from ..train_utils import run_command


QUICK = {"num_steps": 3, "num_restarts": 2, "num_candidates": 4}
SEARCH = SearchArguments(**QUICK)


def make_pipe(with_discriminator=True, norm_type="batch", **config):
    """Returns a pipeline whose images cover all greys, and whose running statistics match its batches."""
    torch.manual_seed(0)
    fields = {"image_size": 16, "hidden_size": 8, "num_channels": 1, "initializer": "xavier_uniform"} | config
    generator = DCGANGenerator(DCGANGeneratorConfig(latent_dim=6, norm_type=norm_type, num_groups=2, **fields))
    labels = (torch.arange(64) % config["num_classes"],) if config.get("num_classes") else ()
    for _ in range(30):
        generator.train()(torch.randn(64, 6), *labels)
    discriminator = DCGANDiscriminator(DCGANDiscriminatorConfig(norm_type=norm_type, num_groups=2, **fields))
    pipe = DCGANPipeline(generator.eval(), discriminator.eval() if with_discriminator else None)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def draw(pipe, latents, labels=None):
    """Returns pixel values straight from the network."""
    with torch.no_grad():
        return pipe.generator(latents, labels).pixel_values


def psnr(first, second):
    """Returns the PSNR in dB, on the scale from 0 to 255."""
    return 10 * np.log10(255**2 / np.square((np.asarray(first) - np.asarray(second)) * 127.5).mean((1, 2, 3)))


# ---- the search ----


@pytest.mark.parametrize("feature_weight", [0.0, 1.0])
def test_images_of_the_generator_are_found_again(feature_weight):
    pipe = make_pipe()
    latents = torch.randn(6, 6)
    images = pipe(latents=latents, output_type="pt").images
    search = SearchArguments(num_steps=100, num_restarts=4, feature_weight=feature_weight, num_candidates=256)
    found = invert(pipe, images, search=search)
    assert (found.psnr >= 30).float().mean() >= 0.9
    assert found.latents.shape == (6, 6) and found.latents.dtype == torch.float32
    again = draw(pipe, found.latents)
    torch.testing.assert_close(found.pixel_values, again, atol=1e-5, rtol=0)
    given = prepare_images(pipe, images)
    np.testing.assert_allclose(found.psnr, psnr(again, given), atol=0.05)


@pytest.mark.parametrize(
    "config",
    [{"num_classes": 3}, {"num_channels": 3, "image_size": 20}, {"norm_type": "spectral"}, {"norm_type": "none"}],
)
def test_other_networks_and_they_stay_as_they_were(config):
    pipe = make_pipe(**config)
    labels = torch.tensor([2, 0]) if config.get("num_classes") else None
    pipe.generator.train()
    before = {
        name: value.clone()
        for network in (pipe.generator, pipe.discriminator)
        for name, value in network.state_dict().items()
    }
    images = [PIL.Image.new("RGB", (30, 20), color) for color in ("gray", "white")]
    found = invert(pipe, images, labels, SearchArguments(feature_weight=0.5, **QUICK))
    assert pipe.generator.training and not pipe.discriminator.training
    for network in (pipe.generator, pipe.discriminator):
        assert all(parameter.requires_grad and parameter.grad is None for parameter in network.parameters())
        for name, value in network.state_dict().items():
            assert torch.equal(value, before[name]) and value.stride() == before[name].stride()
    pipe.generator.eval()
    torch.testing.assert_close(found.pixel_values, draw(pipe, found.latents, labels), atol=1e-5, rtol=0)


def test_more_steps_and_restarts_are_never_worse():
    pipe, images = make_pipe(), PIL.Image.new("L", (16, 16), 100)
    one, more = (
        invert(
            pipe,
            images,
            search=SearchArguments(num_steps=1, num_restarts=number, num_candidates=64),
            generator=torch.Generator().manual_seed(0),
        )
        for number in (1, 4)
    )
    # The first step is measured at the start: the nearest candidate, the first restart of both searches.
    assert torch.equal(one.latents, more.latents)
    candidates = pipe.prepare_latents(64, torch.Generator().manual_seed(0))
    values = psnr(draw(pipe, candidates), prepare_images(pipe, images))
    assert one.psnr.item() == pytest.approx(values.max(), abs=1e-3)
    assert torch.equal(one.latents[0], candidates[values.argmax()])
    search = SearchArguments(num_steps=20, num_candidates=64)
    longer = invert(pipe, images, search=search, generator=torch.Generator().manual_seed(0))
    assert longer.psnr > one.psnr


def test_start_and_early_stop():
    """An image that reaches the target at the start leaves the search; the others continue as if alone."""
    pipe = make_pipe()
    latents = torch.randn(2, 6)
    images = pipe(latents=latents, output_type="pt").images
    start = torch.stack([latents[0], torch.zeros(6)])
    seen = []
    handle = pipe.generator.register_forward_hook(lambda module, inputs, output: seen.append(len(inputs[0])))
    arguments = {"num_steps": 6, "num_restarts": 1, "num_candidates": 1}
    found = invert(pipe, images, search=SearchArguments(target_psnr=45.0, **arguments), initial_latents=start)
    handle.remove()
    assert torch.equal(found.latents[0], latents[0]) and found.psnr[0] > 45
    assert seen == [1, 2, 1, 1, 1, 1, 1, 2]  # candidate; both images; the other image alone; both results
    alone = invert(pipe, images[1:], search=SearchArguments(**arguments), initial_latents=start[1:])
    torch.testing.assert_close(found.latents[1:], alone.latents, atol=1e-4, rtol=1e-4)


def test_a_fused_generator_stays_fused():
    pipe = make_pipe()
    images = pipe(batch_size=2, output_type="pt").images
    arguments = {"search": SEARCH, "initial_latents": torch.zeros(2, 6)}
    found = invert(pipe, images, generator=torch.Generator().manual_seed(0), **arguments)
    pipe.generator.fuse()
    layers = dict(pipe.generator.named_modules())
    again = invert(pipe, images, generator=torch.Generator().manual_seed(0), **arguments)
    assert dict(pipe.generator.named_modules()) == layers
    torch.testing.assert_close(again.latents, found.latents)


def test_many_images_go_through_in_chunks(monkeypatch):
    pipe = make_pipe()
    images = pipe(batch_size=5, output_type="pt").images
    together = invert(pipe, images, search=SEARCH, generator=torch.Generator().manual_seed(1))
    monkeypatch.setattr("dcgan_hf.interpretability.inversion._MAX_PIXELS_PER_BACKWARD", 2 * 2 * 16**2)
    apart = invert(pipe, images, search=SEARCH, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(together.latents, apart.latents, atol=1e-4, rtol=1e-4)


def test_progress_bar(capsys):
    pipe = make_pipe()
    images = pipe(latents=torch.zeros(1, 6), output_type="pt").images
    invert(pipe, images, search=SEARCH)
    assert not capsys.readouterr().err
    pipe.set_progress_bar_config(disable=False)
    invert(pipe, images, search=SearchArguments(target_psnr=40.0, **QUICK), initial_latents=torch.zeros(1, 6))
    assert "3/3" in capsys.readouterr().err  # although it stopped immediately


# ---- the images ----


def test_images_of_all_kinds_are_the_same():
    pipe = make_pipe(num_channels=3)
    array = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    tensor = torch.from_numpy(array.transpose(2, 0, 1).copy())
    expected = tensor.float()[None] / 127.5 - 1
    for images in (
        array,
        PIL.Image.fromarray(array),
        [array],
        array[None],
        tensor,
        tensor[None],
        tensor / 255,
        [tensor],
    ):
        torch.testing.assert_close(prepare_images(pipe, images), expected, atol=1e-6, rtol=0)
    turned = PIL.Image.fromarray(np.rot90(array).copy())
    turned.getexif()[0x0112] = 6  # by a camera on its side
    torch.testing.assert_close(prepare_images(pipe, turned), expected, atol=1e-6, rtol=0)
    for dtype in (np.int64, np.int32, bool):
        with pytest.raises(ValueError, match="Allowed are uint8, uint16, and floats"):
            prepare_images(pipe, array.astype(dtype))
    assert prepare_images(pipe, [array, PIL.Image.new("L", (40, 30))]).shape == (2, 3, 16, 16)
    assert prepare_images(make_pipe(with_discriminator=False), PIL.Image.new("RGBA", (9, 40))).shape == (1, 1, 16, 16)


def test_padding_is_that_of_training():
    pipe = make_pipe()
    pipe.discriminator.config.resize_mode = "pad"
    assert (prepare_images(pipe, PIL.Image.new("L", (8, 8), 255)) == 1).sum() == 64


@pytest.mark.parametrize(
    "config, wrong, message",
    [
        ({}, {"images": []}, "`images` must contain at least one image, got none"),
        ({}, {"images": torch.full((1, 16, 16), -0.5)}, r"must lie in \[0, 1\], got \[-0.5"),
        (
            {"with_discriminator": False},
            {"search": SearchArguments(feature_weight=1, **QUICK)},
            "`feature_weight` must be 0 for a pipeline without a discr",
        ),
        ({}, {"initial_latents": torch.zeros(2, 6)}, r"must have shape \(1, 6\), got \(2, 6\)"),
        ({}, {"class_labels": 0}, "0 classes, so `class_labels` must not be given"),
        ({"num_classes": 2}, {}, "so `class_labels` must be given"),
        ({"num_classes": 2}, {"class_labels": [0, 1]}, "got 2 for 1 images"),
        ({"num_classes": 2}, {"class_labels": "hat"}, "got 'hat'"),
    ],
)
def test_wrong_use(config, wrong, message):
    with pytest.raises(ValueError, match=message):
        invert(make_pipe(**config), **{"images": PIL.Image.new("L", (16, 16)), "search": SEARCH} | wrong)


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"num_steps": 0}, "`num_steps` must be at least 1, got 0"),
        ({"num_restarts": 0}, "`num_restarts` must be at least 1, got 0"),
        ({"num_candidates": 1}, "`num_candidates` must be at least `num_restarts=2`, got 1"),
        ({"learning_rate": 0}, "`learning_rate` must be positive, got 0"),
        ({"feature_weight": -1}, "`feature_weight` must be at least 0, got -1"),
    ],
)
def test_searches_that_cannot_be(wrong, message):
    with pytest.raises(ValueError, match=message):
        SearchArguments(**QUICK | wrong)


# ---- the command ----


def test_command(tmp_path, capsys):
    make_pipe(num_classes=2).save_pretrained(tmp_path / "model")
    photos = [tmp_path / f"{color}.png" for color in ("white", "black")]
    for photo in photos:
        PIL.Image.new("RGB", (20, 24), photo.stem).save(photo)
    flags = ("--num_steps", 3, "--num_restarts", 1, "--use_cpu", "--output_dir", tmp_path / "out")
    run_command("invert", tmp_path / "model", *photos, *flags, "--class_labels", "1")
    found = load_file(tmp_path / "out" / "latents.safetensors")
    assert found["latents"].shape == (2, 6) and found["class_labels"].tolist() == [1, 1]
    pipe = DCGANPipeline.from_pretrained(tmp_path / "model")
    images = draw(pipe, found["latents"], found["class_labels"])
    values = psnr(images, prepare_images(pipe, [PIL.Image.open(photo) for photo in photos]))
    printed = capsys.readouterr().out
    for photo, value in zip(photos, values):
        assert f"{photo}: {value:.1f} dB" in printed
    picture = PIL.Image.open(tmp_path / "out" / "inverted.png")
    assert picture.height == 2 * 16 + 3 * 2 and picture.getpixel((picture.width - 2 * 16, 8)) == 255

    (tmp_path / "text.png").write_text("no image")
    for wrong, message in (
        ((tmp_path / "none.png",), "`photos=.*none.png`: no such file"),
        ((tmp_path / "text.png",), "`photos=.*text.png` cannot be read: it is not an image of a known format"),
        ((photos[0],), "`class_labels` must be given"),
        ((photos[0], "--class_labels", "2"), "ids from 0 to 1"),
    ):
        with pytest.raises(ValueError, match=message):
            run_command("invert", tmp_path / "model", *wrong, "--use_cpu")
