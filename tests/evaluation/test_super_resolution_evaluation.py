"""Tests of PSNR, SSIM, baselines and the evaluation command of super-resolution."""

import io
import json
import math

import datasets
import numpy as np
import PIL.Image
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from sklearn.datasets import load_sample_image

from dcgan_hf import (
    DCGANDiscriminator,
    DCGANDiscriminatorConfig,
    DCGANSuperResolutionConfig,
    DCGANSuperResolutionGenerator,
    DCGANSuperResolutionPipeline,
)
from dcgan_hf.data.datasets import ImageDataset
from dcgan_hf.evaluation.features import load_feature_network
from dcgan_hf.evaluation.records import Metric, read_metrics
from dcgan_hf.evaluation.upscaled_images import (
    BASELINES,
    decode_whole_images,
    interpolate,
    join_if_of_one_size,
    make_small,
    upscale,
)
from dcgan_hf.evaluation.upscaling import (
    UpscalingQuality,
    check_before_comparing,
    compare,
    comparison_picture,
    metrics_of,
    psnr,
    quality_table,
    ssim,
)

from ..train_utils import run_command, save_classifier


def random_images(number, channels=3, height=16, width=16):
    return torch.randint(0, 256, (number, channels, height, width), dtype=torch.uint8)


def photos(number, size=16):
    """Returns parts of a photograph, which unlike noise survive downscaling and upscaling."""
    photo = torch.from_numpy(load_sample_image("china.jpg").copy()).permute(2, 0, 1)
    tops = range(100, 100 + 4 * number, 4)
    return torch.stack([photo[:, top : top + size, 2 * top : 2 * top + size] for top in tops])


def make_pipeline(num_channels=3, scale_factor=2):
    config = DCGANSuperResolutionConfig(
        scale_factor=scale_factor, num_channels=num_channels, hidden_size=4, num_blocks=1
    )
    discriminator = DCGANDiscriminator(
        DCGANDiscriminatorConfig(image_size=16, num_channels=num_channels, hidden_size=4)
    )
    pipe = DCGANSuperResolutionPipeline(DCGANSuperResolutionGenerator(config), discriminator)
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    return save_classifier(tmp_path_factory.mktemp("models") / "classifier")


@pytest.fixture
def model(tmp_path):
    make_pipeline().save_pretrained(tmp_path / "model")
    return tmp_path / "model"


# ---- PSNR and SSIM ----


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 255), st.integers(1, 48))
def test_psnr_of_a_known_error(difference, number):
    """An equal error in all 48 values, or in some of them."""
    real = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
    fake = real.clone()
    fake[0] = difference
    fake[1].view(-1)[:number] = difference
    expected = [20 * math.log10(255 / difference), 20 * math.log10(255 / difference) + 10 * math.log10(48 / number)]
    assert psnr(real, fake).tolist() == pytest.approx(expected, abs=1e-9)


def reference_ssim(a, b):
    """Computes equation 13 of Wang et al. for one channel, with SciPy's filter."""

    def blur(image):
        return gaussian_filter(image, 1.5, truncate=3.5, mode="mirror")  # 5 pixels to each side

    a, b = a.astype(np.float64), b.astype(np.float64)
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mean_a, mean_b = blur(a), blur(b)
    var_a, var_b, covariance = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2, blur(a * b) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return (luminance * (2 * covariance + c2) / (var_a + var_b + c2)).mean()


@pytest.mark.parametrize("channels, height, width", [(1, 6, 40), (3, 33, 16)])
def test_ssim_is_that_of_the_paper(channels, height, width):
    real = random_images(3, channels, height, width)
    noise = torch.randint(-40, 41, real.shape)
    fake = (real.int() + noise).clamp(0, 255).to(torch.uint8)
    expected = [
        np.mean([reference_ssim(*maps) for maps in zip(*pair)])
        for pair in zip(real.numpy(), fake.numpy(), strict=True)
    ]
    assert ssim(real, fake).tolist() == pytest.approx(expected, abs=1e-7)
    assert ssim(real[:1], fake[:1]).tolist() == pytest.approx(expected[:1], abs=1e-7)


def test_ssim_of_plain_images_compares_their_brightness():
    real, fake = torch.full((1, 3, 12, 12), 100, dtype=torch.uint8), torch.full((1, 3, 12, 12), 150, dtype=torch.uint8)
    c1 = 2.55**2
    expected = (2 * 100 * 150 + c1) / (100**2 + 150**2 + c1)
    assert ssim(real, fake).item() == pytest.approx(expected, abs=1e-8)


def test_copies_and_symmetry():
    real, fake = random_images(4), random_images(4)
    assert (psnr(real, real) == math.inf).all()
    torch.testing.assert_close(ssim(real, real), torch.ones(4, dtype=torch.double))
    for measure in (psnr, ssim):
        torch.testing.assert_close(measure(real, fake), measure(fake, real))
        assert (measure(real, fake) < measure(real, real)).all()


@pytest.mark.parametrize("measure", [psnr, ssim])
def test_what_cannot_be_compared(measure):
    images = random_images(2)
    with pytest.raises(ValueError, match=r"same shape .* got torch.uint8 \(2, 3, 16, 16\) and torch.uint8 \(1, 3, 16"):
        measure(images, images[:1])
    with pytest.raises(ValueError, match=r"must be uint8 .* torch.float32"):
        measure(images, images / 255)
    with pytest.raises(ValueError, match=r"at least 6 pixels high and wide, got \(16, 5\)"):
        ssim(images[..., :5], images[..., :5])


# ---- the table ----


def test_the_mean_of_a_copy_and_another_image_is_finite():
    real = random_images(2)
    fake = real.clone()
    fake[1] = 255 - fake[1]
    (row,) = compare({"half": fake}, real)
    assert row.psnr == pytest.approx((100 + psnr(real, fake)[1].item()) / 2)
    assert row.ssim == pytest.approx(ssim(real, fake).mean().item())
    assert row.frechet_distance is None and row.accuracy is None


def test_images_of_many_sizes_count_alike():
    sizes = [(16, 24), (7, 9), (40, 12)]
    real = [random_images(1, 3, *size)[0] for size in sizes]
    fake = [random_images(1, 3, *size)[0] for size in sizes]
    (row,) = compare({"noise": fake}, real)
    assert row.psnr == pytest.approx(np.mean([psnr(a[None], b[None]).item() for a, b in zip(real, fake)]))
    assert row.ssim == pytest.approx(np.mean([ssim(a[None], b[None]).item() for a, b in zip(real, fake)]))
    with pytest.raises(ValueError):
        compare({"too few": fake[:2]}, real)
    with pytest.raises(ValueError):
        compare({"too few": random_images(2)}, random_images(3))


def test_features_and_classes(classifier, tmp_path):
    network = load_feature_network(str(classifier), torch.device("cpu"))
    real = photos(40)
    labels = torch.arange(40) % 10
    blurred = interpolate(make_small(real, 4, "bicubic"), 4, BASELINES["nearest"])
    copy, nearest, original = compare({"copy": real, "nearest": blurred}, real, network, labels, tmp_path)
    assert copy.frechet_distance == pytest.approx(0, abs=1e-4) and nearest.frechet_distance > copy.frechet_distance
    assert original == UpscalingQuality("original", accuracy=copy.accuracy)
    expected = (network(real)[1].argmax(1) == labels).float().mean().item()
    assert original.accuracy == pytest.approx(expected)
    assert len(list(tmp_path.iterdir())) == 1  # features of the originals
    without_labels = compare({"nearest": blurred}, real, network)
    assert [row.accuracy for row in without_labels] == [None]


def test_features_need_many_images_of_one_size(classifier):
    network = load_feature_network(str(classifier), torch.device("cpu"))
    with pytest.raises(ValueError, match="12 generated and 12 real images are too few for the 12 features"):
        check_before_comparing(random_images(12), network)
    check_before_comparing(random_images(13), network)
    with pytest.raises(ValueError, match="of different sizes. Use `resize_mode=crop` or `resize_mode=pad`"):
        check_before_comparing([*random_images(20), *random_images(20, 3, 8, 8)], network)
    with pytest.raises(ValueError, match="SSIM needs images at least 6 pixels high and wide, got one of 5 pixels"):
        check_before_comparing([*random_images(1), *random_images(1, 3, 9, 5)])


def test_the_table_shows_what_was_measured():
    rows = [UpscalingQuality("bicubic", 25.4321, 0.812345), UpscalingQuality("ours", 26, 0.9)]
    assert quality_table(rows).splitlines() == [
        "| method | PSNR (dB) | SSIM |",
        "| --- | --- | --- |",
        "| bicubic | 25.43 | 0.8123 |",
        "| ours | 26.00 | 0.9000 |",
    ]
    rows = [UpscalingQuality("ours", 26, 0.9, 1.23456, 0.5), UpscalingQuality("original", accuracy=0.75)]
    assert quality_table(rows).splitlines()[2:] == [
        "| ours | 26.00 | 0.9000 | 1.235 | 50.0% |",
        "| original |  |  |  | 75.0% |",
    ]


def test_metrics_say_what_was_compared():
    metrics = metrics_of(UpscalingQuality("ours", 26.0, 0.9, 1.5, 0.5), 1200, "net", "test", "org/data")
    assert [(metric.type, metric.value, metric.features) for metric in metrics] == [
        ("psnr", 26.0, "pixels"),
        ("ssim", 0.9, "pixels"),
        ("frechet_distance", 1.5, "net"),
        ("accuracy", 0.5, "net"),
    ]
    assert str(metrics[0]) == "PSNR (dB): 26 (1,200 images, pixels)"
    assert str(metrics[2]) == "Frechet distance: 1.5 (1,200 images, features of net)"
    assert all(metric.dataset_name == "org/data" and metric.num_real_images == 1200 for metric in metrics)
    metrics = metrics_of(UpscalingQuality("ours", 26.0, 0.9), 3, "", "test", "photos")
    assert metrics[1] == Metric("ssim", "SSIM", 0.9, 3, 3, "pixels", "test", dataset_name="photos")
    assert len(metrics) == 2


# ---- images ----


@pytest.mark.parametrize("channels", [1, 3])
def test_baselines_are_pillows(channels):
    small = random_images(2, channels, 5, 7)
    for name, resample in (("nearest", 0), ("bicubic", 3), ("lanczos", 1)):
        enlarged = interpolate(small, 3, BASELINES[name])
        assert enlarged.shape == (2, channels, 15, 21) and enlarged.dtype == torch.uint8
        for image, result in zip(small, enlarged):
            picture = PIL.Image.fromarray(image.permute(1, 2, 0).squeeze(-1).numpy())
            expected = np.atleast_3d(np.asarray(picture.resize((21, 15), PIL.Image.Resampling(resample))))
            assert (result.permute(1, 2, 0).numpy() == expected).all()
        apart = interpolate([small[0], small[1, :, :4]], 3, BASELINES[name])
        assert (apart[0] == enlarged[0]).all() and apart[1].shape == (channels, 12, 21)


def test_small_images_are_those_of_a_resizing_program():
    real = photos(3, size=32)
    for method, resample in (("bicubic", PIL.Image.Resampling.BICUBIC), ("area", PIL.Image.Resampling.BOX)):
        small = make_small(real, 4, method)
        assert small.shape == (3, 3, 8, 8) and small.dtype == torch.uint8
        for image, result in zip(real, small):
            expected = np.asarray(PIL.Image.fromarray(image.permute(1, 2, 0).numpy()).resize((8, 8), resample))
            # Pillow rounds and clips after each of its two passes.
            assert np.abs(result.permute(1, 2, 0).numpy().astype(int) - expected).max() <= 3
    assert (make_small(list(real), 4, "bicubic")[1] == make_small(real, 4, "bicubic")[1]).all()


@pytest.mark.parametrize("channels, scale_factor", [(3, 2), (1, 4)])
def test_an_untrained_network_is_as_good_as_bicubic(channels, scale_factor):
    real = photos(8, size=64)[:, :channels]
    small = make_small(real, scale_factor, "bicubic")
    enlarged = upscale(make_pipeline(channels, scale_factor), small)
    bicubic = interpolate(small, scale_factor, BASELINES["bicubic"])
    ours, baseline = compare({"ours": enlarged, "bicubic": bicubic}, real)
    assert ours.psnr == pytest.approx(baseline.psnr, abs=0.5) and ours.psnr > 15
    assert ours.ssim == pytest.approx(baseline.ssim, abs=0.01)
    apart = upscale(make_pipeline(channels, scale_factor), [small[0], small[1, :, :4]])
    assert apart[1].shape == (channels, 4 * scale_factor, 64) and (apart[0].int() - enlarged[0]).abs().max() <= 1


def encoded(*images):
    """Returns an opened dataset of Pillow images."""
    features = datasets.Features({"image": datasets.Image(decode=True)})
    dataset = datasets.Dataset.from_dict({"image": list(images)}, features=features)
    return ImageDataset(dataset.cast_column("image", datasets.Image(decode=False)), None)


def test_whole_images_are_cut_where_the_scale_factor_ends():
    pixels = np.random.default_rng(0).integers(0, 256, (11, 14, 3), dtype=np.uint8)
    grey = PIL.Image.fromarray(pixels[..., 0])
    (first, second), small, indices = decode_whole_images(encoded(PIL.Image.fromarray(pixels), grey), None, 3, 4)
    assert (first.permute(1, 2, 0).numpy() == pixels[:8, :12]).all()
    assert (second.permute(1, 2, 0).numpy() == pixels[:8, :12, :1]).all() and small is None and indices == [0, 1]
    (whole,), _, _ = decode_whole_images(encoded(grey), None, 1, 1)
    assert whole.shape == (1, 11, 14) and whole.dtype == torch.uint8


def test_images_that_cannot_be_measured_are_named_or_skipped(caplog):
    fits, flat = PIL.Image.new("L", (12, 8)), PIL.Image.new("L", (40, 7))
    with pytest.raises(
        ValueError, match="1 of 2 images .*: number 1 is 40x7 pixels, too small to measure: at least 8"
    ):
        decode_whole_images(encoded(fits, flat), None, 1, 4)
    images, _, indices = decode_whole_images(encoded(flat, fits, flat, fits), None, 1, 4, skip_bad_images=True)
    assert len(images) == 2 and indices == [1, 3] and "Left out 2 of 4 images" in caplog.text
    # Pairs are left out together.
    small = encoded(*(image.resize((3, 2)) for image in (fits, flat, fits)))
    with pytest.raises(ValueError, match="number 1 is 40x7 pixels and its low-resolution version 3x2. .* 4 times as"):
        decode_whole_images(encoded(fits, flat, fits), small, 1, 4)
    large, small_images, indices = decode_whole_images(encoded(fits, flat, fits), small, 1, 4, skip_bad_images=True)
    assert [tuple(image.shape) for image in (*large, *small_images)] == [(1, 8, 12)] * 2 + [(1, 2, 3)] * 2
    assert indices == [0, 2]
    file = io.BytesIO()
    PIL.Image.effect_noise((40, 40), 50).save(file, "PNG")
    cut = datasets.Dataset.from_dict({"image": [{"bytes": file.getvalue()[:900], "path": "a/cut.png"}]})
    with pytest.raises(ValueError, match=r"Image number 0 \(a/cut.png\) cannot be read: .*skip it with"):
        decode_whole_images(ImageDataset(cut, None), None, 1, 1)
    with pytest.raises(ValueError, match="None of the 1 images can be read"):
        decode_whole_images(ImageDataset(cut, None), None, 1, 1, skip_bad_images=True)


def test_images_are_joined_if_they_can_be():
    images = list(random_images(3))
    assert (join_if_of_one_size(images) == torch.stack(images)).all()
    images.append(random_images(1, 3, 8, 8)[0])
    assert join_if_of_one_size(images) is images


def test_the_picture_has_a_row_for_each_method():
    images = random_images(40, 1, 16, 20)
    picture = comparison_picture({"first": images, "second": images})
    assert picture.mode == "L" and picture.height == 2 * (16 + 2) + 2
    margin = picture.width - (16 * (20 + 2) + 2)
    assert margin > 0
    shown = np.asarray(picture)
    assert (shown[2:18, margin + 2 : margin + 22] == images[0, 0].numpy()).all()  # the first image on the left,
    assert (shown[20:36, -22:-2] == images[-1, 0].numpy()).all()  # the last one on the right
    large = [random_images(1, 3, 300, 280)[0], random_images(1, 3, 270, 400)[0]]
    picture = comparison_picture({"original": large})
    assert picture.mode == "RGB" and picture.height == 256 + 4
    assert (np.asarray(picture)[2:258, -258:-2] == large[1][:, 7:263, 72:328].permute(1, 2, 0).numpy()).all()


# ---- the command ----


def save_images(folder, images, **columns):
    """Saves a dataset to a folder."""
    features = {"image": datasets.Image()}
    for name, values in columns.items():
        features[name] = datasets.ClassLabel(num_classes=10) if name == "label" else datasets.Image()
        columns[name] = values if name == "label" else as_pictures(values)
    features = datasets.Features(features)
    datasets.Dataset.from_dict({"image": as_pictures(images)} | columns, features=features).save_to_disk(str(folder))
    return folder


def as_pictures(images):
    return [PIL.Image.fromarray(image.permute(1, 2, 0).numpy()) for image in images]


def evaluate(model, dataset, *flags):
    run_command(
        "evaluate-super-resolution", model, f"--dataset_name={dataset}", "--dataset_split=train", "--use_cpu", *flags
    )


def test_images_of_a_classifiers_classes_are_measured(model, classifier, tmp_path, capsys):
    data = save_images(tmp_path / "data", photos(30, size=24), label=[i % 10 for i in range(30)])
    flags = [f"--features={classifier}", "--label_column=label", f"--feature_cache_dir={tmp_path / 'cache'}"]
    evaluate(model, data, *flags, "--resize_mode=crop", "--num_images=20")
    table = capsys.readouterr().out.split("Report")[0].strip().splitlines()
    assert table[0] == "| method | PSNR (dB) | SSIM | Frechet distance | recognised |"
    assert [line.split(" | ")[0] for line in table[2:]] == [
        f"| {name}" for name in ("nearest", "bicubic", "lanczos", "model", "original")
    ]
    cells = {line.split(" | ")[0][2:]: line.strip("| ").split(" | ") for line in table[2:]}
    metrics = {metric.type: metric for metric in read_metrics(model)}
    assert list(metrics) == ["psnr", "ssim", "frechet_distance", "accuracy"]
    assert metrics["psnr"].num_images == metrics["psnr"].num_real_images == 20
    assert f"{metrics['psnr'].value:.2f}" == cells["model"][1]
    assert metrics["psnr"].value == pytest.approx(float(cells["bicubic"][1]), abs=0.5)
    assert metrics["accuracy"].features == "classifier" and metrics["accuracy"].dataset_name == "data"
    assert f"| PSNR (dB) | {metrics['psnr'].value:.4g} |" in (model / "README.md").read_text()
    report = (model / "evaluation" / "super_resolution.md").read_text()
    assert "\n".join(table) in report and "made square (crop, 16 pixels), then downscaled by 2 (bicubic)" in report
    assert "Recognised: share of images that classifier classifies" in report and "not an FID" in report
    with PIL.Image.open(model / "evaluation" / "comparison.png") as picture:
        assert picture.height == 4 * 18 + 2


def test_images_of_any_size_and_pairs_are_measured(model, tmp_path):
    images = [photo[:, : 20 + i] for i, photo in enumerate(photos(4, size=24))]
    evaluate(model, save_images(tmp_path / "data", images), "--downsampling=area")
    own = read_metrics(model)
    assert [metric.type for metric in own] == ["psnr", "ssim"] and own[0].num_images == 4
    report = (model / "evaluation" / "super_resolution.md").read_text()
    assert "multiples of 2 pixels, then downscaled by 2 (area)" in report and "Recognised" not in report

    images = [image[:, : len(image[0]) // 2 * 2] for image in images]
    small = make_small(images, 2, "area")
    pairs = save_images(tmp_path / "pairs", images, small=small)
    evaluate(model, pairs, "--image_column=image", "--low_resolution_column=small")
    assert read_metrics(model)[:2] == own  # those of another dataset stay
    given = read_metrics(model)[2:]
    assert [metric.value for metric in given] == pytest.approx([metric.value for metric in own])
    report = (model / "evaluation" / "super_resolution.md").read_text()
    assert "4 of pairs, split `train`. The low-resolution images are part of the dataset (column `small`)" in report

    kept = json.loads((model / "metrics.json").read_text())
    with pytest.raises(
        ValueError, match="number 0 is 12x10 pixels and its low-resolution version 24x20. It must be 2"
    ):
        evaluate(model, pairs, "--image_column=small", "--low_resolution_column=image")
    assert json.loads((model / "metrics.json").read_text()) == kept

    # Labels follow the images that are left.
    images = [image if i % 3 else image[:, :4] for i, image in enumerate(photos(30, size=24))]
    data = save_images(tmp_path / "odd", images, label=[i % 10 for i in range(30)])
    with pytest.raises(ValueError, match="10 of 30 images cannot be used: number 0 is 24x4 pixels, too small"):
        evaluate(model, data)
    evaluate(model, data, "--skip_bad_images")
    assert read_metrics(model)[-1].num_images == 20


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--num_images=0"], "`num_images` must be at least 1, got 0"),
        (["--output_dir=elsewhere"], "`output_dir=elsewhere` is for models on the Hub"),
        (["--low_resolution_column=small", "--resize_mode=pad"], "requires `resize_mode=none`, got `pad`"),
        (["--resolution=16"], "`resolution=16` requires `resize_mode=crop` or `pad`, got `none`"),
        (["--resize_mode=crop", "--resolution=15"], "divisible by the scale factor 2, got 15"),
        (["--label_column=label"], "`label_column=label` requires a classifier: set `features`"),
        (["--features=CLASSIFIER"], "10 generated and 10 real images are too few for the 12 features of 'classifier'"),
        (
            ["--features=efficientnet-lite0", "--label_column=label"],
            r"has 10 classes\. .* got efficientnet-lite0 with 0",
        ),
    ],
)
def test_wrong_use_is_refused(model, classifier, tmp_path, flags, message):
    data = save_images(tmp_path / "data", photos(10), label=list(range(10)))
    with pytest.raises(ValueError, match=message):
        evaluate(model, data, *(flag.replace("CLASSIFIER", str(classifier)) for flag in flags))
    assert not (model / "metrics.json").exists() and not (model / "evaluation").exists()


def test_crops_need_a_size(model, tmp_path):
    pipe = make_pipeline()
    DCGANSuperResolutionPipeline(pipe.generator).save_pretrained(tmp_path / "alone")
    data = save_images(tmp_path / "data", photos(3))
    with pytest.raises(ValueError, match="`resize_mode=pad` needs a `resolution` .* got 0"):
        evaluate(tmp_path / "alone", data, "--resize_mode=pad")
    evaluate(tmp_path / "alone", data, "--resize_mode=pad", "--resolution=20")
    assert read_metrics(tmp_path / "alone")[0].num_images == 3
