"""Tests of the evaluation of super-resolution as in papers: luminance, border, benchmark sets, report and card."""

import dataclasses
import json
import logging
import math
import zipfile

import numpy as np
import PIL.Image
import pytest
import torch
from huggingface_hub import ModelCard

from dcgan_hf import DCGANSuperResolutionPipeline
from dcgan_hf.data.file_listing import list_folder
from dcgan_hf.evaluation.arguments import SuperResolutionEvaluationArguments
from dcgan_hf.evaluation.benchmark_sets import find_benchmark_sets
from dcgan_hf.evaluation.evaluate_super_resolution import evaluate_super_resolution
from dcgan_hf.evaluation.paper_protocol import luminance, luminance_quality, place_of_detail, windowed_ssim
from dcgan_hf.evaluation.records import Metric, merge_metrics, read_metrics, write_metrics
from dcgan_hf.evaluation.upscaled_images import BASELINES, interpolate, make_small
from dcgan_hf.model_folder import remove_stale_files
from dcgan_hf.pictures import to_bytes, to_pil
from dcgan_hf.publishing.card import eval_results

from ..train_utils import run_command
from .test_super_resolution_evaluation import (
    as_pictures,
    evaluate,
    make_pipeline,
    model,  # noqa: F401  # a fixture
    photos,
    random_images,
    save_images,
)


# ---- the measures ----


def test_luminance_is_that_of_bt601():
    colours = torch.tensor([[0, 0, 0], [255, 255, 255], [255, 0, 0], [10, 200, 90]], dtype=torch.uint8)
    values = luminance(colours[:, :, None, None]).flatten()
    by_hand = 16 + (65.481 * 10 + 128.553 * 200 + 24.966 * 90) / 255
    assert values.tolist() == pytest.approx([16, 235, 16 + 65.481, by_hand], abs=1e-12)
    assert values.dtype == torch.double
    # Pillow's luminance, rounded, spans 0 to 255.
    images = random_images(2)
    for image, values in zip(images, luminance(images)):
        (picture,) = as_pictures([image])
        expected = 16 + 219 / 255 * np.asarray(picture.convert("L")).astype(float)
        assert np.abs(values.numpy() - expected).max() < 0.5 * 219 / 255 + 0.01
    grey = random_images(2, 1)
    assert (luminance(grey) == grey[:, 0]).all()


def test_grey_images_are_their_own_luminance():
    """As the module says, their PSNR is 20 log10(255 / 219) lower than in RGB."""
    real, fake = random_images(2, 1, 20, 20), random_images(2, 1, 20, 20)
    in_rgb = luminance_quality(real.expand(-1, 3, -1, -1), fake.expand(-1, 3, -1, -1), 2)
    difference = in_rgb[:, 0] - luminance_quality(real, fake, 2)[:, 0]
    assert difference.tolist() == pytest.approx([20 * math.log10(255 / 219)] * 2)
    assert difference.tolist() == pytest.approx([1.32, 1.32], abs=0.005)


def reference_quality(real, fake, border):
    """PSNR and equation 13 of Wang et al., window by window."""
    weights = np.array([65.481, 128.553, 24.966])
    a, b = (
        (np.tensordot(weights, image.numpy().astype(float), 1) / 255 + 16)[border:-border, border:-border]
        for image in (real, fake)
    )
    offsets = np.mgrid[-5:6, -5:6]
    window = np.exp(-(offsets**2).sum(0) / (2 * 1.5**2))
    window /= window.sum()
    similarities = []
    for top in range(a.shape[0] - 10):
        for left in range(a.shape[1] - 10):
            x, y = (image[top : top + 11, left : left + 11] for image in (a, b))
            mean_x, mean_y = (window * x).sum(), (window * y).sum()
            var_x, var_y = (window * (x - mean_x) ** 2).sum(), (window * (y - mean_y) ** 2).sum()
            covariance = (window * (x - mean_x) * (y - mean_y)).sum()
            c1, c2 = 2.55**2, 7.65**2
            similarities.append(
                (2 * mean_x * mean_y + c1)
                * (2 * covariance + c2)
                / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))
            )
    return [10 * np.log10(255**2 / ((a - b) ** 2).mean()), np.mean(similarities)]


@pytest.mark.parametrize("border, height, width", [(2, 15, 22), (4, 24, 19)])
def test_quality_is_that_of_an_independent_computation(border, height, width):
    real = random_images(2, 3, height, width)
    fake = (real.int() + torch.randint(-30, 31, real.shape)).clamp(0, 255).to(torch.uint8)
    for pair, quality in zip(zip(real, fake), luminance_quality(real, fake, border).tolist(), strict=True):
        assert quality == pytest.approx(reference_quality(*pair, border), rel=1e-9)


def test_the_border_does_not_count():
    real = random_images(1, 3, 20, 24)
    fake = 255 - real
    fake[..., 3:-3, 3:-3] = real[..., 3:-3, 3:-3]
    assert luminance_quality(real, fake, 3).tolist() == [[math.inf, pytest.approx(1)]]
    assert luminance_quality(real, fake, 2)[0, 0] < 60


def test_images_that_cannot_be_compared_are_refused():
    real = random_images(1, 3, 17, 15)
    assert luminance_quality(real, real, 2).shape == (1, 2)
    with pytest.raises(ValueError, match=r"a border of 3 pixels needs images at least 17 .* got \(17, 15\)"):
        luminance_quality(real, real, 3)
    with pytest.raises(ValueError, match="uint8"):
        luminance_quality(real, real.float(), 1)
    plain = torch.full((1, 12, 12), 100.0, dtype=torch.double)
    assert windowed_ssim(plain, plain + 50).item() == pytest.approx(
        (2 * 100 * 150 + 2.55**2) / (100**2 + 150**2 + 2.55**2)
    )


def test_the_detail_is_where_images_differ():
    real = torch.zeros(3, 60, 80, dtype=torch.uint8)
    fake = real.clone()
    fake[:, 41:45, 61:66] = 200
    rows, columns = place_of_detail(real, fake, 16)
    assert fake[:, rows, columns].sum() == fake.sum() and fake[:, rows, columns].shape == (3, 16, 16)
    rows, columns = place_of_detail(real, fake, 70)  # higher than the image
    assert rows == slice(0, 60) and fake[:, rows, columns].sum() == fake.sum()


# ---- the layouts ----

LAYOUTS = {
    "two folders": ("Set5/HR/{}.png", "Set5/LR/{}.png"),
    "folders of scales": ("Set5/x2/HR/{}.png", "Set5/x2/LR/{}.png"),
    "folders of scales in capitals": ("Set5/X2/HR/{}.png", "Set5/X2/LR/{}.png"),
    "SelfExSR": ("Set5/image_SRF_2/img_{}_SRF_2_HR.png", "Set5/image_SRF_2/img_{}_SRF_2_LR.png"),
    "EDSR": ("Set5/HR/{}.png", "Set5/LR_bicubic/X2/{}x2.png"),
    "BasicSR": ("Set5/GTmod12/{}.png", "Set5/LRbicx2/{}.png"),
    "DIV2K": ("Set5_HR/{}.png", "Set5_LR_bicubic/X2/{}x2.png"),
    "one folder": ("Set5/{}_HR.png", "Set5/{}_LR.png"),
    "scale before": ("Set5/HR_x2/{}_HR_x2.png", "Set5/LR_x2/{}_LR_x2.bmp"),
}
NAMES = ("baby", "ppt3", "matrix2")  # two could be mistaken for marks


def save(image, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    to_pil([image])[0].save(path)


def save_pairs(folder, layout="two folders", number=3, scale=2, size=24):
    """Saves pairs as a set called Set5."""
    real = photos(number, size)
    for name, image, small in zip(NAMES, real, make_small(real, scale, "bicubic")):
        for pattern, one in zip(LAYOUTS[layout], (image, small)):
            save(one, folder / pattern.format(name))
    return folder


def pairs_of(found):
    """Returns the file names of originals and low-resolution images."""
    columns = [found.originals, *([] if found.small is None else [found.small])]
    return [[row["path"].rpartition("/")[2] for row in column.dataset["image"]] for column in columns]


def measure(pipe, folder, **options):
    options = {"protocol": "paper", "dataset_name": str(folder)} | options
    return evaluate_super_resolution(pipe, SuperResolutionEvaluationArguments(**options), "ours")


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("place", ["sets", "sets/Set5", "sets.zip"])
def test_layouts_are_known(layout, place, tmp_path):
    save_pairs(tmp_path / "sets", layout)
    if place == "sets/Set5" and not (tmp_path / place).exists():
        pytest.skip("this layout has no folder for the set")
    with zipfile.ZipFile(tmp_path / "sets.zip", "w") as archive:
        for path in (tmp_path / "sets").rglob("*.*"):
            archive.write(path, path.relative_to(tmp_path / "sets"))
    (found,) = find_benchmark_sets(str(tmp_path / place), 2)
    originals, small = pairs_of(found)
    assert found.name == "Set5"
    for names, pattern in zip((originals, small), LAYOUTS[layout]):
        assert names == [pattern.rpartition("/")[2].format(name) for name in sorted(NAMES)]


def test_the_layout_does_not_change_the_result(tmp_path):
    pipe = make_pipeline()
    rows = [
        measure(pipe, save_pairs(tmp_path / layout, layout)).sets[0] for layout in ("two folders", "SelfExSR", "EDSR")
    ]
    rows.append(measure(pipe, tmp_path / "EDSR" / "Set5" / "HR").sets[0])  # the originals alone
    assert [row.has_pairs for row in rows] == [True, True, True, False]
    assert len({(row.name, row.own.psnr, row.own.ssim, row.bicubic.psnr) for row in rows}) == 1


def test_folders_of_one_scale_are_called_after_the_set(tmp_path):
    save_pairs(tmp_path, "folders of scales")
    (found,) = find_benchmark_sets(str(tmp_path / "Set5" / "x2"), 2)
    assert found.name == "Set5"
    with pytest.raises(ValueError, match="no images of the model's scale, 4: Set5 has scale 2"):
        find_benchmark_sets(str(tmp_path / "Set5" / "x2"), 4)


def test_sets_are_found_in_a_folder_and_others_scales_are_left_out(tmp_path, caplog):
    save_pairs(tmp_path, "EDSR")
    for image, name in zip(photos(2, 20), "ab"):
        save(image, tmp_path / "Set14" / f"{name}x2.png")
        for kind in ("HR", "LR"):
            save(image, tmp_path / "Urban100" / "x3" / kind / f"{name}.png")
            save(image, tmp_path / "Urban100" / "x4" / kind / f"{name}.png")
    sets = find_benchmark_sets(str(tmp_path), 2)
    assert [found.name for found in sets] == ["Set5", "Set14"] and sets[1].small is None
    assert "Left out sets without images of scale 2: Urban100 has scale 3, 4" in caplog.text
    (found,) = find_benchmark_sets(str(tmp_path / "Urban100"), 4)
    assert pairs_of(found) == [["a.png", "b.png"]] * 2
    with pytest.raises(ValueError, match="no images of the model's scale, 8: Set5 has scale 2"):
        find_benchmark_sets(str(tmp_path / "Set5"), 8)
    # Two sets of the same name.
    save(photos(1)[0], tmp_path / "more" / "Set14" / "c.png")
    assert [found.name for found in find_benchmark_sets(str(tmp_path), 2)] == ["Set5", "Set14", "more/Set14"]


def test_originals_of_one_kind_are_used_and_results_of_others_are_left_out(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    save_pairs(tmp_path, "BasicSR")
    save(photos(1)[0], tmp_path / "Set5" / "original" / "baby.png")
    (found,) = find_benchmark_sets(str(tmp_path), 2)
    assert "GTmod12" in found.originals.dataset[0]["image"]["path"] and len(found.originals.dataset) == 3
    save_pairs(tmp_path / "other", "SelfExSR")
    save(photos(1)[0], tmp_path / "other" / "Set5" / "image_SRF_2" / "img_baby_SRF_2_bicubic.png")
    (found,) = find_benchmark_sets(str(tmp_path / "other"), 2)
    assert len(found.originals.dataset) == 3 and "left out 1 results of other methods" in caplog.text


@pytest.mark.parametrize(
    "extra, message",
    [
        (
            "Set5/HR/alone.png",
            "Set5: 1 of 7 files have no partner: Set5/HR/alone.png has no low-resolution image of scale 2",
        ),
        ("Set5/LR/alone.png", "Set5/LR/alone.png has no original"),
        ("Set5/preview/alone.png", "Set5/preview/alone.png is neither an original"),
    ],
)
def test_files_without_a_partner_are_named_or_skipped(tmp_path, caplog, extra, message):
    save_pairs(tmp_path)
    save(photos(1)[0], tmp_path / extra)
    with pytest.raises(ValueError, match=f"{message}.*--skip_bad_images"):
        measure(make_pipeline(), tmp_path)
    assert measure(make_pipeline(), tmp_path, skip_bad_images=True).sets[0].num_images == 3
    assert message.partition(": ")[2] or message in caplog.text


def test_files_of_one_name_are_refused(tmp_path):
    save_pairs(tmp_path)
    save(photos(1)[0], tmp_path / "Set5" / "LR_unknown" / "baby.png")
    with pytest.raises(ValueError, match="Set5/LR/baby.png and Set5/LR_unknown/baby.png have the same name"):
        find_benchmark_sets(str(tmp_path), 2)
    with pytest.raises(ValueError, match="files have no partner: .* has no original"):
        find_benchmark_sets(str(tmp_path / "Set5" / "LR"), 2)


def test_originals_are_cropped_to_their_pairs(tmp_path):
    (expected,) = measure(make_pipeline(), save_pairs(tmp_path / "a")).sets
    save_pairs(tmp_path / "b")
    path = tmp_path / "b" / "Set5" / "HR" / "baby.png"
    image = np.asarray(PIL.Image.open(path))
    PIL.Image.fromarray(np.pad(image, ((0, 1), (0, 0), (0, 0)))).save(path)
    (cropped,) = measure(make_pipeline(), tmp_path / "b").sets
    assert cropped.own == expected.own
    PIL.Image.fromarray(np.pad(image, ((0, 2), (0, 0), (0, 0)))).save(path)
    with pytest.raises(
        ValueError,
        match=r"HR/baby.png\) is 24x26 pixels and its low-resolution version \(.*LR/baby.png\) 12x12. It must be 2 times"
        " as wide and high, or at most 1 pixel larger",
    ):
        measure(make_pipeline(), tmp_path / "b")
    assert measure(make_pipeline(), tmp_path / "b", skip_bad_images=True).sets[0].num_images == 2


def test_originals_alone_are_cropped_and_downscaled(tmp_path):
    (image,) = photos(1, 41)
    save(image, tmp_path / "mine" / "a.png")
    (row,) = measure(make_pipeline(scale_factor=3), tmp_path / "mine").sets
    real = image[None, :, :39, :39]
    bicubic = interpolate(make_small(real, 3, "bicubic"), 3, BASELINES["bicubic"])
    expected = luminance_quality(real, bicubic, 3)[0].tolist()
    assert [row.bicubic.psnr, row.bicubic.ssim] == expected and not row.has_pairs
    # An untrained model is bicubic.
    assert [row.own.psnr, row.own.ssim] == pytest.approx(expected, rel=0.01)


def test_all_images_are_looked_at_before_the_work(tmp_path):
    save_pairs(tmp_path)
    path = tmp_path / "Set5" / "LR" / "ppt3.png"
    path.write_bytes(path.read_bytes()[:-40])
    save(random_images(1, 3, 14, 40)[0], tmp_path / "Set1" / "flat.png")
    with pytest.raises(ValueError, match="flat.png.* is 40x14 pixels, too small to measure: at least 16 are needed"):
        measure(make_pipeline(), tmp_path)
    with pytest.raises(
        ValueError, match=r"ppt3.png\): its low-resolution version .*LR/ppt3.png\) cannot be read: .*skip"
    ):
        measure(make_pipeline(), tmp_path / "Set5")
    (row,) = measure(make_pipeline(), tmp_path / "Set5", skip_bad_images=True).sets
    assert row.num_images == 2


def test_colours_are_those_of_the_model(tmp_path):
    """Grey images of a set in colour count in RGB, and a grey model sees grey images."""
    grey = photos(1, 24)[:, :1]
    save(grey[0], tmp_path / "grey" / "a.png")
    save(grey[0].expand(3, -1, -1), tmp_path / "colour" / "a.png")
    rgb = measure(make_pipeline(), tmp_path).sets
    assert rgb[0].own == rgb[1].own
    (row, _) = measure(make_pipeline(num_channels=1), tmp_path).sets
    assert rgb[0].bicubic.psnr - row.bicubic.psnr == pytest.approx(20 * math.log10(255 / 219))
    assert row.picture.mode == "L" and rgb[0].picture.mode == "RGB"


def test_other_datasets_count_as_one_set(tmp_path):
    real = photos(3, 24)
    pairs = save_images(tmp_path / "pairs", real, small=make_small(real, 2, "bicubic"))
    options = {"dataset_split": "train", "image_column": "image"}
    given = measure(make_pipeline(), pairs, low_resolution_column="small", **options).sets[0]
    made = measure(make_pipeline(), pairs, **options).sets[0]
    (row,) = measure(make_pipeline(), save_pairs(tmp_path / "sets")).sets
    assert (given.name, given.split, given.has_pairs, made.has_pairs) == ("pairs", "train", True, False)
    assert given.own == made.own == row.own
    # Folders of splits, and built-in ones.
    for split in ("train", "test"):
        save(real[0], tmp_path / "split" / split / "a.png")
    assert [row.split for row in measure(make_pipeline(), tmp_path / "split").sets] == ["test"]
    assert measure(make_pipeline(), tmp_path / "split", dataset_split="train").sets[0].name == "split"
    assert find_benchmark_sets("photos", 2) == []


@pytest.mark.parametrize(
    "options, message",
    [
        (
            {"features": "inception"},
            "`features=inception` cannot be combined with `protocol=paper`, which measures PSNR",
        ),
        ({"label_column": "label"}, "`label_column=label` cannot be combined"),
        ({"feature_cache_dir": "cache"}, "`feature_cache_dir=cache` cannot be combined"),
        ({"resize_mode": "pad"}, "`resize_mode=pad` cannot be combined with `protocol=paper`, which keeps"),
        ({"resolution": 32}, "`resolution=32` cannot be combined"),
        (
            {"downsampling": "area"},
            "`downsampling=area` cannot be combined with `protocol=paper`, which downscales bicub",
        ),
        (
            {"dataset_split": "train"},
            r"`dataset_split=train`: .* is a folder of benchmark sets \(Set5\), which has no",
        ),
        ({"image_column": "image"}, "`image_column=image`: .* which has no splits, columns"),
        ({"dataset_config_name": "a"}, "`dataset_config_name=a`: .* which has no splits, columns"),
        ({"protocol": "papers"}, "`protocol=papers` must be one of 'all_channels', 'paper'. Did you mean 'paper'"),
    ],
)
def test_options_without_an_effect_are_refused(tmp_path, options, message):
    save_pairs(tmp_path, number=1)
    with pytest.raises(ValueError, match=message):
        measure(make_pipeline(), tmp_path, **options)


def test_archives_of_another_kind_are_refused(tmp_path):
    (tmp_path / "benchmark.tar").write_bytes(b"")
    with pytest.raises(
        ValueError, match="benchmark.tar`: benchmark sets are read from folders and .zip files. Unpack it"
    ):
        find_benchmark_sets(str(tmp_path / "benchmark.tar"), 2)


def test_the_number_of_images_is_that_of_each_set(tmp_path):
    save_pairs(tmp_path)
    for image, name in zip(photos(3, 20), NAMES):
        save(image, tmp_path / "Set14" / f"{name}.png")
    assert [row.num_images for row in measure(make_pipeline(), tmp_path, num_images=2).sets] == [2, 2]


# ---- metrics.json, report and card ----


METRIC = Metric("psnr", "PSNR", 30.0, 5, 5, "luminance", "test", dataset_name="Set5", bicubic=29.0)


def test_measurements_on_other_datasets_stay(tmp_path):
    others = [
        dataclasses.replace(METRIC, **change)
        for change in ({"dataset_name": "Set14"}, {"features": "pixels"}, {"dataset_split": "train"})
    ]
    newer = dataclasses.replace(METRIC, value=31.0)
    for metric in (METRIC, *others, newer):
        write_metrics([metric], tmp_path)
    assert read_metrics(tmp_path) == [*others, newer]
    assert str(METRIC) == "PSNR: 30 (5 images, luminance)"
    # Entries of a run name no dataset: they are of the training dataset or, if that is unknown, perhaps of any.
    unnamed = dataclasses.replace(METRIC, dataset_name=None)
    assert merge_metrics([unnamed], [METRIC], "photos") == [unnamed, METRIC]
    assert merge_metrics([unnamed], [METRIC], "Set5") == merge_metrics([unnamed], [METRIC]) == [METRIC]
    # Files of before have neither field.
    old = {key: value for key, value in dataclasses.asdict(METRIC).items() if key not in ("dataset_name", "bicubic")}
    (tmp_path / "metrics.json").write_text(json.dumps([old]))
    assert read_metrics(tmp_path) == [dataclasses.replace(unnamed, bicubic=None)]


def test_sets_are_measured_from_the_command_line(model, tmp_path, capsys):  # noqa: F811
    sets = save_pairs(tmp_path / "sets", "EDSR")
    for image, name in zip(photos(7, 20), "abcdefg"):
        save(image, sets / "Urban100" / f"{name}.png")
    plain = save_images(tmp_path / "plain", photos(2, 24))
    evaluate(model, plain)
    capsys.readouterr()
    flags = ("evaluate-super-resolution", model, "--protocol=paper", "--use_cpu")
    run_command(*flags, f"--dataset_name={sets}")
    table = capsys.readouterr().out.split("Report")[0].strip().splitlines()
    assert table[0] == "| set | images | bicubic: PSNR (dB) | bicubic: SSIM | model: PSNR (dB) | model: SSIM |"
    assert [line.split(" | ")[:2] for line in table[2:]] == [["| Set5", "3"], ["| Urban100", "7"]]

    metrics = read_metrics(model)
    found = [(metric.type, metric.features, metric.dataset_name) for metric in metrics]
    assert found == [("psnr", "pixels", "plain"), ("ssim", "pixels", "plain")] + [
        (type, "luminance", name) for name in ("Set5", "Urban100") for type in ("psnr", "ssim")
    ]
    assert metrics[2].name == "PSNR (dB), luminance, border of 2 pixels"
    cells = table[2].strip("| ").split(" | ")
    numbers = [metrics[2].bicubic, metrics[3].bicubic, metrics[2].value, metrics[3].value]
    assert cells[2:] == [f"{number:.{digits}f}" for number, digits in zip(numbers, (2, 4, 2, 4))]

    report = (model / "evaluation" / "super_resolution_paper.md").read_text()
    assert "\n".join(table) in report and "without a border of 2 pixels" in report and str(tmp_path) not in report
    assert "3 images. The low-resolution images are those of the set." in report
    assert "7 images. The originals were cropped" in report and "\n\n\n" not in report
    with PIL.Image.open(model / "evaluation" / "set-2.png") as picture:
        assert picture.height == 4 * 22 + 2  # 5 images of 20 pixels
    card = (model / "README.md").read_text()
    assert f"| Set5 | 3 | {' | '.join(cells[2:])} |" in card and f"| PSNR (dB) | {metrics[0].value:.4g} | 2 |" in card
    results = ModelCard(card).data.eval_results
    assert [(result.dataset_name, result.metric_args["features"]) for result in results] == [
        (metric.dataset_name, metric.features) for metric in metrics
    ]
    assert {result.task_type for result in results} == {"image-to-image"}

    # Another evaluation of one of them replaces its entries and the report. Pictures of a report are no data.
    run_command(*flags, f"--dataset_name={sets / 'Set5'}", "--num_images=2")
    newer = {metric.dataset_name: metric.num_images for metric in read_metrics(model) if metric.type == "psnr"}
    assert newer == {"plain": 2, "Urban100": 7, "Set5": 2}
    assert sorted(path.name for path in (model / "evaluation").glob("set-*")) == ["set-1.png"]
    assert list_folder(model).images == []
    remove_stale_files(model)
    assert not (model / "evaluation").exists()


def test_configurations_are_those_of_the_training_dataset():
    metrics = [METRIC, dataclasses.replace(METRIC, dataset_name="photos")]
    results = eval_results(metrics, "image-to-image", "photos", "small")
    assert [result.dataset_config for result in results] == [None, "small"]


def test_published_measurements_on_other_sets_stay(hub, token, model, tmp_path, monkeypatch):  # noqa: F811
    DCGANSuperResolutionPipeline.from_pretrained(model).push_to_hub("org/x2")
    monkeypatch.chdir(tmp_path)
    for name in ("Set5", "Set14"):
        save(photos(1, 20)[0], tmp_path / name / "a.png")
        run_command(
            *("evaluate-super-resolution", "org/x2", "--protocol=paper", f"--dataset_name={tmp_path / name}"),
            *("--use_cpu", "--push_to_hub", f"--output_dir={tmp_path / f'results-{name}'}"),
        )
    published = json.loads(hub.files("org/x2")["metrics.json"])
    assert [metric["dataset_name"] for metric in published] == ["Set5", "Set5", "Set14", "Set14"]
    results = ModelCard.load("org/x2").data.eval_results
    assert [result.dataset_name for result in results] == ["Set5", "Set5", "Set14", "Set14"]


def test_self_ensemble_is_measured_beside_the_plain_model(tmp_path):
    pipe = make_pipeline()
    torch.nn.init.normal_(pipe.generator.image_convolution.weight, std=0.05)
    folder = save_pairs(tmp_path / "sets")
    (plain,) = measure(pipe, folder, output_dir=str(tmp_path)).sets
    (joined,) = measure(pipe, folder, output_dir=str(tmp_path), self_ensemble=True).sets
    real = photos(3, 24)
    (large,) = pipe([*make_small(real, 2, "bicubic")], output_type="pt", return_dict=False, self_ensemble=True)
    expected = luminance_quality(real, to_bytes(large), 2)[:, 0].mean().item()
    assert joined.own.psnr == pytest.approx(expected) != plain.own.psnr and joined.own.method == "ours, self-ensemble"
    found = {metric.features: metric for metric in read_metrics(tmp_path) if metric.type == "psnr"}
    assert found["luminance"].value == plain.own.psnr
    assert str(found["luminance, self-ensemble"]).startswith(
        "PSNR (dB), luminance, border of 2 pixels, self-ensemble: "
    )
    with pytest.raises(ValueError, match="`self_ensemble` requires `protocol=paper`, got `all_channels`"):
        SuperResolutionEvaluationArguments(dataset_name="photos", self_ensemble=True)
