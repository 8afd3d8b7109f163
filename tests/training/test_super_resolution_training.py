"""Tests of super-resolution training: low-resolution images, crops of photographs, updates."""

import io
import json
import re

import datasets
import numpy as np
import PIL.Image
import pytest
import torch
import torch.nn.functional as F
from diffusers import DiffusionPipeline
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from scipy.ndimage import gaussian_filter
from sklearn.datasets import load_sample_image

from dcgan_hf import DCGANDiscriminator, DCGANDiscriminatorConfig, DCGANSuperResolutionPipeline
from dcgan_hf.data.crops import CropLoader, Crops
from dcgan_hf.data.datasets import ImageDataset, load_image_dataset
from dcgan_hf.data.decoding import decode_image
from dcgan_hf.data.degradation import Degradation, degrade, gaussian_blur
from dcgan_hf.data.loaders import Shard
from dcgan_hf.data.whole_images import stored_size
from dcgan_hf.evaluation.features import perceptual_features
from dcgan_hf.training.losses import LOSSES
from dcgan_hf.training.recipes import arguments_from_recipe
from dcgan_hf.training.super_resolution_arguments import DCGANSuperResolutionTrainingArguments
from dcgan_hf.training.super_resolution_updates import (
    PIXEL_LOSSES,
    SuperResolutionBatch,
    SuperResolutionWeights,
    adversarial_update,
    pixel_update,
    prepare_super_resolution_batches,
)
from dcgan_hf.training.updates import GAN

from ..models.test_super_resolution import make_generator
from ..processes import run_elsewhere
from ..train_utils import read_log, run_command, save_classifier


PHOTO = load_sample_image("flower.jpg")[100:196, 200:320]


def as_batch(array):
    return torch.from_numpy(np.ascontiguousarray(np.atleast_3d(array).transpose(2, 0, 1)))[None]


# ---- low-resolution images ----


def test_bicubic_is_pillows_and_area_the_mean():
    images = as_batch(PHOTO)
    half = degrade(images, Degradation(4), torch.zeros(1, 3))[0].permute(1, 2, 0).numpy()
    expected = np.asarray(PIL.Image.fromarray(PHOTO).resize((30, 24), PIL.Image.Resampling.BICUBIC), int)
    assert half.dtype == np.uint8 and np.abs(half - expected).max() <= 1
    area = degrade(images, Degradation(4, "area"), torch.zeros(1, 3))[0].permute(1, 2, 0).numpy()
    means = PHOTO.reshape(24, 4, 30, 4, 3).mean((1, 3))
    assert np.abs(area - means).max() <= 0.5


def test_blur_is_scipys():
    images = torch.rand(2, 3, 20, 26)
    blurred = gaussian_blur(images, torch.tensor([1.3, 0.0]))
    expected = [gaussian_filter(channel.double(), 1.3, mode="nearest", radius=4) for channel in images[0]]
    np.testing.assert_allclose(blurred[0], np.stack(expected), atol=1e-6)
    torch.testing.assert_close(blurred[1], images[1], rtol=0, atol=1e-6)


def test_noise_and_jpeg():
    images = torch.full((2, 1, 64, 64), 128, dtype=torch.uint8)
    strengths = torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.25, 0.0]])
    noisy = degrade(images, Degradation(2, noise=20), strengths, torch.randn(2, 1, 32, 32)).float()
    assert abs(noisy[0].std() - 20) < 2 and abs(noisy[1].std() - 5) < 0.6
    photo = as_batch(PHOTO)
    shares = torch.zeros(1, 3)
    shares[0, 2] = 1.0
    coarse = degrade(photo, Degradation(2, jpeg_quality=10), shares)
    small = degrade(photo, Degradation(2), shares)[0].permute(1, 2, 0).numpy()
    file = io.BytesIO()
    PIL.Image.fromarray(small).save(file, "JPEG", quality=10)
    assert np.array_equal(coarse[0].permute(1, 2, 0).numpy(), np.asarray(PIL.Image.open(file)))


def test_sizes_must_be_multiples():
    with pytest.raises(ValueError, match=r"divisible by 5, got \(96, 120\)"):
        degrade(as_batch(PHOTO), Degradation(5), torch.zeros(1, 3))


def test_processes_share_out_one_step():
    images = torch.randint(0, 256, (8, 3, 16, 16), dtype=torch.uint8)
    degradation = Degradation(2, blur=2, noise=10, jpeg_quality=40)
    options = {"degradation": degradation, "random_flip": True}
    shard = Shard(8, seed=3)
    (whole,) = prepare_super_resolution_batches([{"pixel_values": images}], 5, shard, **options)
    parts = [
        prepare_super_resolution_batches([{"pixel_values": half}], 5, Shard(4, 3, i, 2), **options)[0]
        for i, half in enumerate(images.chunk(2))
    ]
    for name in ("pixel_values", "small_pixel_values", "interpolation"):
        assert torch.equal(torch.cat([getattr(part, name) for part in parts]), getattr(whole, name)), name
    assert whole.pixel_values.min() >= -1 and whole.small_pixel_values.shape == (8, 3, 8, 8)
    # Pairs are flipped together, and not downscaled again.
    small = images[:, :, ::2, ::2].contiguous()
    raw = {"pixel_values": images, "small_pixel_values": small}
    (pairs,) = prepare_super_resolution_batches([raw], 5, shard, **options)
    flipped = (pairs.pixel_values != images / 127.5 - 1).flatten(1).any(1)
    for i, is_flipped in enumerate(flipped):
        assert torch.equal(
            pairs.small_pixel_values[i], pairs.pixel_values[i, :, ::2, 1 :: 2 if is_flipped else 2]
        ) or (
            torch.equal(
                pairs.small_pixel_values[i], (small[i].flip(-1) if is_flipped else small[i]).float() / 255 * 2 - 1
            )
        )
    assert 0 < flipped.sum() < 8


def test_charbonnier_is_a_smooth_l1():
    fake, real = torch.rand(2, 1, 3, 50, 50, dtype=torch.double) * 2 - 1
    losses = {name: loss(fake, real).item() for name, loss in PIXEL_LOSSES.items()}
    assert losses["l1"] < losses["charbonnier"] < losses["l1"] + 0.002
    assert losses["l2"] == pytest.approx((fake - real).square().mean().item())
    near = torch.zeros(1, requires_grad=True, dtype=torch.double)
    PIXEL_LOSSES["charbonnier"](near, torch.full((1,), 1e-9)).backward()
    assert abs(near.grad.item()) < 1e-5


# ---- crops ----


def photos(*arrays):
    features = datasets.Features({"image": datasets.Image()})
    dataset = datasets.Dataset.from_dict({"image": [PIL.Image.fromarray(a) for a in arrays]}, features=features)
    return ImageDataset(dataset.cast_column("image", datasets.Image(decode=False)), None)


def crop_loader(
    large,
    small=None,
    batch_size=4,
    in_memory_gb=1.0,
    process_index=0,
    num_processes=1,
    resolution=16,
    skip_bad_images=False,
    degradation=None,
    reductions=(1.0,),
):
    shard = Shard(batch_size, 0, process_index, num_processes)
    crops = Crops(3, resolution, 2, 8, degradation, reductions)
    return CropLoader(large, small, crops, shard, torch.device("cpu"), in_memory_gb, 2, skip_bad_images)


@pytest.mark.parametrize("in_memory_gb", [1.0, 0.0])
def test_squares_lie_in_the_photograph_and_pairs_fit(in_memory_gb):
    # Pixel values encode positions.
    rows, columns = np.mgrid[0:60, 0:80].astype(np.uint8)
    large = np.stack([rows, columns, np.zeros_like(rows)], axis=2)
    small = large[::2, ::2]
    loader = crop_loader(photos(large, large[:40]), photos(small, small[:20]), in_memory_gb=in_memory_gb)
    assert len(loader) == 4 and "2 pairs, 8 random 16-pixel crops of each" in str(loader)
    places = set()
    for batch in loader.batches(0):
        squares, smalls = batch["pixel_values"], batch["small_pixel_values"]
        assert squares.shape == (4, 3, 16, 16) and smalls.shape == (4, 3, 8, 8)
        assert torch.equal(squares[:, :, ::2, ::2], smalls)
        assert torch.equal(
            squares[:, 0] - squares[:, 0, :1], torch.arange(16, dtype=torch.uint8)[:, None].expand(4, 16, 16)
        )
        places |= {tuple(corner.tolist()) for corner in squares[:, :2, 0, 0]}
    assert len(places) > 12
    again = [batch["pixel_values"] for batch in loader.batches(0)]
    other = [batch["pixel_values"] for batch in loader.batches(1)]
    assert torch.equal(torch.stack(again)[2:], torch.stack([batch["pixel_values"] for batch in loader.batches(0, 2)]))
    assert not torch.equal(torch.stack(again), torch.stack(other))
    halves = [
        list(crop_loader(photos(large, large[:40]), batch_size=2, process_index=i, num_processes=2).batches(1))
        for i in (0, 1)
    ]
    whole = list(crop_loader(photos(large, large[:40])).batches(1))
    for number, batch in enumerate(whole):
        joined = torch.cat([halves[i][number]["pixel_values"] for i in (0, 1)])
        assert torch.equal(joined, batch["pixel_values"])


def test_low_resolution_crops_are_parts_of_whole_images():
    """The borders of a crop look as if the photograph went on, which it does."""
    uneven = PHOTO[:95, :119]
    whole = degrade(as_batch(uneven[:94, :118]), Degradation(2), torch.zeros(1, 3))[0]
    for batch in crop_loader(photos(uneven), degradation=Degradation(2)).batches(0):
        for large, small in zip(batch["pixel_values"], batch["small_pixel_values"]):
            places = (whole.unfold(1, 8, 1).unfold(2, 8, 1) == small[:, None, None]).all(0).all(-1).all(-1).nonzero()
            assert len(places) == 1
            top, left = (2 * places[0]).tolist()
            assert torch.equal(as_batch(uneven)[0, :, top : top + 16, left : left + 16], large)


@pytest.mark.parametrize("in_memory_gb", [1.0, 0.0])
def test_photographs_are_reduced_before_they_are_cropped(in_memory_gb):
    """Each crop is a part of one of the versions, none of which is smaller than a crop."""
    versions = [
        as_batch(PHOTO) if factor == 1 else degrade_to(as_batch(PHOTO), size)
        for factor, size in ((1.0, (96, 120)), (0.5, (48, 60)), (0.1, (32, 32)))
    ]
    loader = crop_loader(
        photos(PHOTO),
        resolution=32,
        degradation=Degradation(2),
        reductions=(1.0, 0.5, 0.1),
        in_memory_gb=in_memory_gb,
    )
    seen = set()
    for epoch in range(3):
        for batch in loader.batches(epoch):
            for large in batch["pixel_values"]:
                (number,) = [
                    i
                    for i, version in enumerate(versions)
                    if (version[0].unfold(1, 32, 1).unfold(2, 32, 1) == large[:, None, None])
                    .all(0)
                    .all(-1)
                    .all(-1)
                    .any()
                ]
                seen.add(number)
    assert seen == {0, 1, 2}


def degrade_to(images, size):
    return F.interpolate(images.float(), size, mode="bicubic", antialias=True).clamp(0, 255).round().to(torch.uint8)


def test_rotation_turns_pairs_together():
    large = torch.randint(0, 256, (64, 3, 8, 8), dtype=torch.uint8)
    raw = {"pixel_values": large, "small_pixel_values": large[:, :, :4, :4].contiguous()}
    (batch,) = prepare_super_resolution_batches([raw], 0, Shard(64, 0), Degradation(2), random_rotation=True)
    counts = [0] * 4
    for i in range(64):
        (turns,) = [
            n for n in range(4) if torch.equal(batch.pixel_values[i], torch.rot90(large[i], n, (1, 2)) / 127.5 - 1)
        ]
        small = torch.rot90(raw["small_pixel_values"][i], turns, (1, 2))
        assert torch.equal(batch.small_pixel_values[i], small / 127.5 - 1)
        counts[turns] += 1
    assert min(counts) > 5


def files(folder, **contents):
    """Returns a dataset of files: Pillow images, bytes, or nothing."""
    encoded: list = []
    folder.mkdir(exist_ok=True)
    for name, content in contents.items():
        path = folder / f"{name}.jpg"
        if isinstance(content, PIL.Image.Image):
            content.save(path)
        elif content is not None:
            path.write_bytes(content)
        encoded.append(None if content is None else {"bytes": None, "path": str(path)})
    features = datasets.Features({"image": datasets.Image(decode=False)})
    return ImageDataset(datasets.Dataset.from_dict({"image": encoded}, features=features), None)


def as_jpeg(image, **options):
    file = io.BytesIO()
    image.save(file, "JPEG", **options)
    return file.getvalue()


def test_bad_photographs(tmp_path):
    photo = PIL.Image.fromarray(PHOTO)
    with pytest.raises(
        ValueError,
        match=r"1 of 2 images cannot be used: number 1 \(.*low.jpg\) is 120x96 pixels, too small for crops of"
        " `resolution=100`. Remove .*, or skip them with `--skip_bad_images`",
    ):
        crop_loader(files(tmp_path / "low", high=photo.resize((100, 100)), low=photo), resolution=100)
    with pytest.raises(
        ValueError, match="is 120x96 pixels and its low-resolution version 120x96. It must be 2 times as wide"
    ):
        crop_loader(photos(PHOTO), photos(PHOTO))
    with pytest.raises(ValueError, match="1 of 1 images cannot be used: number 0 cannot be read: it is not an image"):
        crop_loader(ImageDataset(datasets.Dataset.from_dict({"image": [{"bytes": b"no image", "path": None}]}), None))
    assert load_image_dataset("photos", split="test").dataset[0]["image"]["bytes"]
    with pytest.raises(ValueError, match=r"'photos' has no split 'valid', only \['train', 'test'\]"):
        load_image_dataset("photos", split="valid")


def test_bad_photographs_are_left_out(tmp_path, caplog):
    photo, half = (PIL.Image.fromarray(array) for array in (PHOTO, PHOTO[::2, ::2]))
    turned = PIL.Image.Exif()
    turned[0x0112] = 6
    bad = {"tiny": photo.resize((15, 90)), "none": b"no image", "empty": None, "cut": as_jpeg(photo)[:2000]}
    large = files(tmp_path, a=photo, **bad, b=photo)
    loader = crop_loader(large, skip_bad_images=True)
    told = "Left out 3 of 6 images, which cannot be used: number 1 (.*tiny.jpg) is 15x90 pixels, too small"
    assert re.search(re.escape(told).replace(re.escape(".*"), ".*"), caplog.text)
    assert "none.jpg) cannot be read: it is not an image" in caplog.text and "number 3 cannot be read" in caplog.text
    assert len(loader) == 3 * 8 // 4 and loader.indices == [0, 4, 5]
    epoch = [batch["pixel_values"] for batch in loader.batches(0)]
    assert len(epoch) == 6 and {batch.shape for batch in epoch} == {(4, 3, 16, 16)}
    assert re.search(r"Skipped: Image number 4 \(.*cut.jpg\) cannot be read: .*truncated", caplog.text)
    assert len(loader.bad_images) == 4
    # The same batches again, from the middle, and in a new process.
    again = crop_loader(large, skip_bad_images=True, in_memory_gb=0)
    assert torch.equal(torch.stack([batch["pixel_values"] for batch in again.batches(0, 2)]), torch.stack(epoch[2:]))
    with pytest.raises(ValueError, match=r"Image number 4 .*cut.jpg\) cannot be read: .*Remove it, or skip it with"):
        list(crop_loader(files(tmp_path / "cut", **{str(i): photo for i in range(4)}, cut=bad["cut"])).batches(0))
    # No batch is without an image, and they are the same for any number of processes.
    single = [
        next(crop_loader(large, batch_size=1, process_index=i, num_processes=4, skip_bad_images=True).batches(0))
        for i in range(4)
    ]
    assert torch.equal(torch.cat([batch["pixel_values"] for batch in single]), epoch[0])
    with pytest.raises(ValueError, match="None of the 2 images can be read"):
        next(crop_loader(files(tmp_path / "all", a=bad["cut"], b=bad["cut"]), skip_bad_images=True).batches(0))
    with pytest.raises(ValueError, match="2 of 2 images cannot be used: .* cannot be read: it is empty.$"):
        crop_loader(files(tmp_path / "none", a=b"", b=None), skip_bad_images=True)

    # Pairs: one of other size, one without its version, one whose version is upright by EXIF only.
    caplog.clear()
    small = files(tmp_path / "small", a=half, b=photo, c=None, d=as_jpeg(half.rotate(90, expand=True), exif=turned))
    pairs = crop_loader(photos(PHOTO, PHOTO, PHOTO, PHOTO), small, skip_bad_images=True)
    assert pairs.indices == [0, 3] and "Left out 2 of 4 pairs" in caplog.text
    assert "number 2: its low-resolution version number 2 cannot be read: it is empty" in caplog.text
    assert len(list(pairs.batches(0))) == 4


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 8), st.sampled_from(["JPEG", "PNG", "TIFF", "WEBP"]))
def test_sizes_in_headers_are_those_of_decoded_images(width, height, orientation, image_format):
    exif = PIL.Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    file = io.BytesIO()
    PIL.Image.new("RGB", (width, height)).save(file, image_format, exif=exif)
    encoded = {"bytes": file.getvalue(), "path": None}
    assert stored_size(encoded) == decode_image(encoded).size


# ---- updates ----


class PlainAccelerator:
    """Accelerator of an update, without Accelerate."""

    scaler = None
    unwrap_model = staticmethod(lambda model: model)
    backward = staticmethod(lambda loss, **kwargs: loss.backward(**kwargs))
    no_sync = staticmethod(lambda model: torch.enable_grad())


def make_gan(loss="bce", patchwise=False):
    generator = make_generator(num_channels=1).train()
    torch.manual_seed(1)
    config = DCGANDiscriminatorConfig(
        image_size=16,
        num_channels=1,
        hidden_size=8,
        norm_type="none",
        initializer="xavier_uniform",
        patchwise=patchwise,
        leaky_relu_slope=0.2,
    )
    discriminator = DCGANDiscriminator(config).train()
    optimizers = [torch.optim.SGD(network.parameters(), lr=0.05) for network in (generator, discriminator)]
    return GAN(PlainAccelerator(), generator, discriminator, *optimizers, LOSSES[loss])


def make_batches(number=1, size=4):
    generator = torch.Generator().manual_seed(2)
    images = [torch.rand(size, 1, 16, 16, generator=generator) * 2 - 1 for _ in range(number)]
    return [SuperResolutionBatch(image, F.avg_pool2d(image, 2), torch.rand(size)) for image in images]


def weights_of(gan):
    return [
        parameter.detach().clone()
        for network in (gan.generator, gan.discriminator)
        for parameter in network.parameters()
    ]


@pytest.mark.parametrize("loss, patchwise", [("bce", False), ("relativistic", False), ("hinge", True)])
def test_adversarial_update_is_the_plain_one(loss, patchwise):
    weights = SuperResolutionWeights(1.0, 0.3, 0.7)
    gan, plain = make_gan(loss, patchwise), make_gan(loss, patchwise)
    (batch,) = make_batches()
    statistics = adversarial_update(gan, [batch], weights)

    real = batch.pixel_values
    fake = plain.generator(batch.small_pixel_values).pixel_values
    losses = LOSSES[loss]
    losses.discriminator(plain.discriminator(real).logits, plain.discriminator(fake.detach()).logits).backward()
    plain.discriminator_optimizer.step()
    plain.discriminator_optimizer.zero_grad()
    judged = plain.discriminator(fake, output_hidden_states=True)
    of_real = plain.discriminator(real, output_hidden_states=True)
    adversarial = losses.generator(judged.logits, *([of_real.logits] if losses.is_relativistic else []))
    matching = sum((a - b.detach()).abs().mean() for a, b in zip(judged.hidden_states, of_real.hidden_states)) / 2
    pixel = (fake - real).abs().mean()
    (pixel + 0.3 * adversarial + 0.7 * matching).backward()
    plain.generator_optimizer.step()
    for ours, theirs in zip(weights_of(gan), weights_of(plain)):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)
    assert statistics["pixel_loss"].item() == pytest.approx(pixel.item(), rel=1e-5)
    assert statistics["generator_loss"].item() == pytest.approx(adversarial.item(), rel=1e-4)
    assert statistics["feature_matching_loss"].item() == pytest.approx(matching.item(), rel=1e-4)
    errors = ((fake.clamp(-1, 1) - real) ** 2).mean((1, 2, 3)) / 4
    assert statistics["psnr"].item() == pytest.approx((-10 * errors.log10()).mean().item(), rel=1e-5)


def test_pixel_update_leaves_the_discriminator_alone_and_accumulates():
    weights = SuperResolutionWeights(2.0, 0.0, 0.0)
    gan, accumulated = make_gan(), make_gan()
    batches = make_batches(2)
    before = weights_of(gan)
    joined = SuperResolutionBatch(
        *(
            torch.cat([getattr(batch, name) for batch in batches])
            for name in ("pixel_values", "small_pixel_values", "interpolation")
        )
    )
    statistics = pixel_update(gan, [joined], weights)
    pixel_update(accumulated, batches, weights)
    for ours, theirs in zip(weights_of(gan), weights_of(accumulated)):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)
    number = len(list(gan.generator.parameters()))
    assert all(torch.equal(*pair) for pair in zip(before[number:], weights_of(gan)[number:]))
    assert not torch.equal(before[0], weights_of(gan)[0]) and set(statistics) == {"pixel_loss", "psnr", "bicubic_psnr"}


def test_accumulated_adversarial_update_is_that_of_the_joined_batch():
    weights = SuperResolutionWeights(1.0, 0.3, 0.7)
    gan, accumulated = make_gan(), make_gan()
    batches = make_batches(2)
    joined = SuperResolutionBatch(
        *(
            torch.cat([getattr(batch, name) for batch in batches])
            for name in ("pixel_values", "small_pixel_values", "interpolation")
        )
    )
    adversarial_update(gan, [joined], weights)
    adversarial_update(accumulated, batches, weights)
    for ours, theirs in zip(weights_of(gan), weights_of(accumulated)):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_perceptual_loss(tmp_path):
    """Optimising an image on the differentiable features approaches the target."""
    network = perceptual_features(str(save_classifier(tmp_path)), torch.device("cpu"))
    target = torch.rand(1, 3, 16, 16) * 2 - 1
    image = (torch.rand(1, 3, 16, 16) * 2 - 1).requires_grad_()
    first = F.l1_loss(network(image), network(target))
    optimizer = torch.optim.Adam([image], lr=0.05)
    for _ in range(30):
        optimizer.zero_grad()
        F.l1_loss(network(image), network(target)).backward()
        optimizer.step()
    assert F.l1_loss(network(image), network(target)) < first / 2
    gan = make_gan()
    weights = SuperResolutionWeights(0.0, 0.0, 0.0, 1.0, network)
    statistics = pixel_update(gan, make_batches(), weights)
    assert statistics["perceptual_loss"] > 0


def test_perceptual_features_are_those_of_bytes(tmp_path):
    from dcgan_hf.evaluation.features import ClassifierFeatures

    name = str(save_classifier(tmp_path))
    images = torch.randint(0, 256, (3, 3, 16, 16), dtype=torch.uint8)
    measured, _ = ClassifierFeatures(name, torch.device("cpu"))(images)
    torch.testing.assert_close(
        perceptual_features(name, torch.device("cpu"))(images / 127.5 - 1), measured, rtol=1e-4, atol=1e-5
    )
    with pytest.raises(
        ValueError, match="`perceptual_features=inception` is not supported: this network .* is not differentiable"
    ):
        perceptual_features("inception", torch.device("cpu"))


# ---- the training ----

TINY = {
    "dataset_name": "digits",
    "resize_mode": "crop",
    "resolution": 16,
    "scale_factor": 2,
    "hidden_size": 8,
    "generator_config": '{"num_blocks": 1}',
    "train_batch_size": 16,
    "optimizer": "muon",
    "lr_scheduler": "constant",  # a shorter run is the beginning of a longer one
    "max_train_steps": 6,
    "warmup_steps": 3,
    "adversarial_loss_weight": 0.1,
    "feature_matching_loss_weight": 0.1,
    "checkpointing_steps": 2,
    "save_images_steps": 3,
    "logging_steps": 2,
    "eval_batch_size": 4,
    "use_ema": True,
    "random_flip": True,
    "max_noise": 4,
    "use_cpu": True,
    "mixed_precision": "no",
    "num_cpu_threads": 1,
}


def train(output_dir, **changes):
    arguments = TINY | {"output_dir": output_dir} | changes
    run_command(
        "train-super-resolution", *(f"--{name}={value}" for name, value in arguments.items() if value is not None)
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "dcgan-digits-x2"
    train(folder)
    return folder


def test_what_a_run_leaves_behind(run):
    assert {path.name for path in run.glob("checkpoint-*")} == {"checkpoint-2", "checkpoint-4", "checkpoint-6"}
    log = read_log(run)
    assert [entry["step"] for entry in log] == [2, 4, 6]
    assert ["discriminator_loss" in entry for entry in log] == [False, True, True]
    assert all(entry["psnr"] > 0 and entry["bicubic_psnr"] > 0 for entry in log)
    names = {"step-0000003.png", "step-0000006.png"}
    assert {path.name for path in (run / "samples").iterdir()} == names
    pipe = DCGANSuperResolutionPipeline.from_pretrained(run)
    pipe.set_progress_bar_config(disable=True)
    assert pipe(PIL.Image.new("L", (8, 8))).images[0].size == (16, 16)
    assert pipe.discriminator.config.image_size == 16
    assert PIL.Image.open(run / "images" / "comparison.png").width > 4 * 16
    card = (run / "README.md").read_text()
    for words in (
        "pipeline_tag: image-to-image",
        "upscales grey images of any size by a factor of two",
        "(images/comparison.png)",
    ):
        assert words in card
    # The settings on the card match the run.
    (run / "card.yaml").write_text(card.split("```yaml\n")[1].split("```")[0])
    told = arguments_from_recipe(DCGANSuperResolutionTrainingArguments, run / "card.yaml")
    arguments = json.loads((run / "training_args.json").read_text())
    for name in (
        "dataset_name",
        "scale_factor",
        "resize_mode",
        "generator_config",
        "warmup_steps",
        "max_noise",
        "seed",
    ):
        assert getattr(told, name) == arguments[name], name


def test_a_resumed_run_ends_the_same(run, tmp_path):
    train(tmp_path, max_train_steps=4)
    train(tmp_path, resume_from_checkpoint="latest")
    for folder in ("checkpoint-6", "generator"):
        for file in (run / folder).glob("*.safetensors"):
            assert file.read_bytes() == (tmp_path / folder / file.name).read_bytes(), file.name


def test_pixels_alone_need_no_discriminator(tmp_path):
    options = {"adversarial_loss_weight": 0, "feature_matching_loss_weight": 0, "warmup_steps": 0, "max_noise": 0}
    photo = {"dataset_name": "photos", "resize_mode": "random_crop", "gradient_accumulation_steps": 2}
    train(tmp_path, **options, **photo, max_train_steps=2, use_ema=None)
    assert DCGANSuperResolutionPipeline.from_pretrained(tmp_path).discriminator is None
    assert not (tmp_path / "discriminator").exists()


def test_the_card_shows_other_images_than_those_of_training(tmp_path, caplog):
    """Private photographs stay private."""
    black = tmp_path / "black"
    black.mkdir()
    PIL.Image.new("RGB", (64, 64)).save(black / "private.png")
    options = {"dataset_name": black, "resize_mode": "random_crop", "max_noise": 0, "num_channels": 3}
    options |= {"sample_dataset_name": "photos", "sample_split": "test"}
    caplog.set_level("INFO")
    train(tmp_path / "run", **options)
    assert "1 photograph can teach little" in caplog.text and "--config x2_fast" in caplog.text
    shown = np.asarray(PIL.Image.open(tmp_path / "run" / "images" / "comparison.png"))
    photo = load_sample_image("china.jpg")
    original = shown[-18:-2, -18:-2, 0]  # in the last row, inside the line around it
    windows = np.lib.stride_tricks.sliding_window_view(photo[:, :, 0], (16, 16))
    assert (windows == original).all((2, 3)).any()
    assert "Parts of images of photos, not cherry-picked" in (tmp_path / "run" / "README.md").read_text()
    with pytest.raises(ValueError, match="'photos' has no split 'validation', only"):
        train(tmp_path / "other", **options | {"sample_split": "validation"})
    assert not (tmp_path / "other").exists()


def test_given_pairs(tmp_path):
    large, small = (
        [PIL.Image.fromarray(array) for array in arrays] for arrays in ([PHOTO, PHOTO], [PHOTO[::2, ::2]] * 2)
    )
    datasets.Dataset.from_dict({"photo": large, "small": small}).cast_column("photo", datasets.Image()).cast_column(
        "small", datasets.Image()
    ).save_to_disk(tmp_path / "pairs")
    pairs = {"dataset_name": tmp_path / "pairs", "image_column": "photo", "low_resolution_column": "small"}
    train(tmp_path / "out", resize_mode="random_crop", max_noise=None, max_train_steps=2, **pairs)
    assert read_log(tmp_path / "out")[0]["pixel_loss"] > 0


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"resolution": 15}, "`resolution` must be a multiple of `scale_factor=2`, got 15"),
        ({"min_jpeg_quality": 99}, r"`min_jpeg_quality` must lie in \[1, 95\], got 99"),
        (
            {"resize_mode": "random_crop", "streaming": True},
            "`streaming` cannot be combined with `resize_mode=random",
        ),
        ({"low_resolution_column": "small"}, "`low_resolution_column` requires `resize_mode=random_crop`, got `crop`"),
        (
            {"low_resolution_column": "small", "resize_mode": "random_crop"},
            "`max_noise` has no effect with `low_resolution_column`",
        ),
        (
            {"perceptual_loss_weight": 1},
            "`perceptual_loss_weight` and `perceptual_features` must be set together",
        ),
        ({"pixel_loss_weight": 0}, "`pixel_loss_weight` and `perceptual_loss_weight` are both 0"),
        ({"adversarial_loss_weight": 0}, "`feature_matching_loss_weight` and `warmup_steps` require a discriminator"),
        (
            {"adversarial_loss_weight": 0, "feature_matching_loss_weight": 0, "warmup_steps": 0, "r1_penalty": 1}
            | {"discriminator_config": '{"norm_type": "none"}'},
            "`r1_penalty` requires a discriminator",
        ),
        ({"generator_config": '{"scale_factor": 3}'}, r"`generator_config` must not contain \['scale_factor'\]"),
        (
            {"generator_config": '{"latent_dim": 3}'},
            "sets 'latent_dim', which is not a field of `DCGANSuperResolutionConfig`",
        ),
        ({"warmup_steps": -1}, "`warmup_steps` must be at least 0, got -1"),
        ({"num_channels": 4}, r"`num_channels` must be 1 \(grey\) or 3 \(RGB\), got 4"),
    ],
)
def test_bad_arguments(tmp_path, changes, message):
    with pytest.raises(Exception, match=message):
        train(tmp_path / "out", **changes)
    assert not (tmp_path / "out").exists()


def test_measured_while_training(tmp_path, caplog):
    """As for a DCGAN: keeps and saves the best model, stops early, writes diagnostics and an animation."""
    caplog.set_level("INFO")
    # The learning rate is practically 0: no measurement is better than the first.
    options = {"eval_steps": 1, "eval_num_images": 20, "save_best": True, "early_stopping_patience": 2}
    train(tmp_path, **options, diagnostics_steps=2, learning_rate=1e-30, use_ema=None, checkpoints_total_limit=1)
    log = read_log(tmp_path)
    measured = {entry["step"]: entry for entry in log if "eval_psnr" in entry}
    assert sorted(measured) == [1, 2, 3] and all(0 < entry["eval_ssim"] < 1 for entry in measured.values())
    assert any("diagnostics/generator/gradient_norm" in entry for entry in log)
    assert {path.name for path in tmp_path.glob("checkpoint-*")} == {"checkpoint-1", "checkpoint-3"}
    assert "saved the model of step 1" in caplog.text
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert {metric["type"]: metric["value"] for metric in metrics}["psnr"] == measured[1]["eval_psnr"]
    assert PIL.Image.open(tmp_path / "training.gif").n_frames >= 1
    card = (tmp_path / "README.md").read_text()
    assert "PSNR (dB)" in card and "(training.gif)" in card


def test_the_best_model_may_be_told_by_features(tmp_path):
    classifier = save_classifier(tmp_path / "classifier")
    options = {"eval_steps": 3, "eval_features": classifier, "metric_for_best_model": "frechet_distance"}
    train(tmp_path / "run", **options, save_best=True, eval_num_images=30)
    log = [entry for entry in read_log(tmp_path / "run") if "eval_psnr" in entry]
    best = min(log, key=lambda entry: entry["eval_frechet_distance"])
    state = json.loads((tmp_path / "run" / f"checkpoint-{best['step']}" / "trainer_state.json").read_text())["state"]
    assert state["best_value"] == best["eval_frechet_distance"]
    with pytest.raises(
        ValueError, match="`metric_for_best_model=frechet_distance` requires a network: set `eval_features`"
    ):
        train(tmp_path / "out", metric_for_best_model="frechet_distance")


def test_images_that_cannot_be_read_are_counted(tmp_path, caplog):
    images = [PIL.Image.fromarray(PHOTO[i:, :, :]) for i in range(20)]
    folder = tmp_path / "photos"
    folder.mkdir()
    for i, image in enumerate(images):
        image.save(folder / f"{i}.png")
    (folder / "broken.png").write_bytes(b"no image")
    train(tmp_path / "out", dataset_name=folder, skip_bad_images=True, max_train_steps=2)
    assert "Bad images skipped: 1, number 20 (" in caplog.text


def test_a_damaged_photograph_costs_no_update(tmp_path, caplog):
    """A truncated file is not noticed before it is read. The run is saved then, and goes on without it or with it
    repaired."""
    folder = tmp_path / "photos"
    photo = PIL.Image.fromarray(PHOTO)
    files(folder, **{f"a{i}": photo for i in range(11)}, broken=as_jpeg(photo)[:3000])
    options = {"dataset_name": folder, "resize_mode": "random_crop", "train_batch_size": 2, "crops_per_image": 1}
    options |= {
        "max_train_steps": 6,
        "checkpointing_steps": 100,
        "logging_steps": 100,
        "seed": 2,
    }  # in the fifth batch
    with pytest.raises(ValueError, match=r"Image number 11 \(.*broken.jpg\) cannot be read: .*`--skip_bad_images`"):
        train(tmp_path / "out", **options)
    (kept,) = (tmp_path / "out").glob("checkpoint-*")
    steps = int(kept.name.removeprefix("checkpoint-"))
    assert steps == 4 and f"The run is kept in {kept}. Go on with `--resume_from_checkpoint latest`" in caplog.text
    train(tmp_path / "out", **options, resume_from_checkpoint="latest", skip_bad_images=True)
    assert "broken.jpg" in caplog.text and "Bad images skipped: 1" in caplog.text
    # As if it had been skipped from the start.
    train(tmp_path / "skipped", **options, skip_bad_images=True)
    resumed, whole = (load_file(tmp_path / name / "generator" / "model.safetensors") for name in ("out", "skipped"))
    assert all(torch.equal(resumed[key], whole[key]) for key in whole)


def test_bad_photographs_are_not_measured_either(tmp_path, caplog):
    photo = PIL.Image.fromarray(PHOTO)
    files(tmp_path / "photos", a=photo, b=photo, tiny=photo.resize((4, 4)), cut=as_jpeg(photo)[:3000])
    options = {"dataset_name": tmp_path / "photos", "resize_mode": "random_crop", "eval_steps": 1}
    with pytest.raises(ValueError, match=r"1 of 4 images cannot be used: .*tiny.jpg\) is 4x4 pixels"):
        train(tmp_path / "out", **options, max_train_steps=1)
    train(tmp_path / "out", **options, max_train_steps=1, skip_bad_images=True)
    (metrics,) = {metric["num_images"] for metric in json.loads((tmp_path / "out" / "metrics.json").read_text())}
    assert metrics == 2


def test_another_scale_cannot_be_resumed(run, tmp_path):
    with pytest.raises(ValueError, match="`scale_factor` must be unchanged to resume"):
        train(run, scale_factor=4, resume_from_checkpoint="latest")


# ---- several processes, the Hub ----


def test_two_processes_end_as_one_with_twice_the_batch(tmp_path):
    """The discriminator treats images separately; images, low-resolution images and noise are the same."""
    options = TINY | {"discriminator_config": '{"norm_type": "none"}', "max_train_steps": 4, "checkpointing_steps": 4}
    train(tmp_path / "one", **options)
    arguments = options | {"train_batch_size": 8, "output_dir": tmp_path / "two"}
    flags = [f"--{name}={value}" for name, value in arguments.items()]
    run_elsewhere("train-super-resolution", *flags, processes=2)
    for name in ("model.safetensors", "model_1.safetensors"):
        two, one = (load_file(tmp_path / run / "checkpoint-4" / name) for run in ("two", "one"))
        for key in one:
            torch.testing.assert_close(two[key], one[key], rtol=2e-3, atol=5e-5)


def test_published_with_every_checkpoint_and_loaded_without_code(hub, token, tmp_path):
    train(tmp_path / "x2", push_to_hub=True, hub_model_id="org/x2", hub_strategy="every_save", hub_license="mit")
    files = hub.files("org/x2")
    expected = {"README.md", "config.json", "images/comparison.png", "generator/model.safetensors"}
    expected |= {"discriminator/model.safetensors", "generator/modeling_dcgan_super_resolution.py", "model_index.json"}
    expected |= {"pipeline_dcgan_super_resolution.py", "pipeline_portable.py", "modeling_dcgan.py"}
    assert expected <= set(files) and not any("checkpoint" in name or "logs" in name for name in files)
    pipe = DCGANSuperResolutionPipeline.from_pretrained("org/x2", cache_dir=tmp_path / "cache")
    pipe.set_progress_bar_config(disable=True)
    assert pipe(PIL.Image.new("L", (8, 5))).images[0].size == (16, 10)
    remote = DiffusionPipeline.from_pretrained("org/x2", cache_dir=tmp_path / "cache2", trust_remote_code=True)
    remote.set_progress_bar_config(disable=True)
    small = PIL.Image.fromarray(PHOTO[:9, :13, 0])
    assert np.array_equal(remote(small).images[0], pipe(small).images[0])
