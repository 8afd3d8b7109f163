import json

import numpy as np
import PIL.Image
import pytest
import torch
from datasets import load_dataset

from dcgan_hf import DCGANGenerator, DCGANGeneratorConfig, DCGANPipeline

from ..processes import run_elsewhere
from ..train_utils import run_command


def generate(*flags):
    run_command("generate", *flags, "--use_cpu")


def generate_on_two_processes(*flags):
    run_elsewhere("generate", *flags, processes=2)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.png")}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("models") / "model")


def save_model(folder, **config):
    torch.manual_seed(0)
    generator = DCGANGenerator(DCGANGeneratorConfig(image_size=16, hidden_size=8, latent_dim=8, **config))
    labels = (torch.arange(6) % config["num_classes"],) if config else ()
    generator.train()(torch.randn(6, 8), *labels)
    generator.layers[-1].convolution.weight.data *= 20
    DCGANPipeline(generator=generator.eval()).save_pretrained(folder)
    return folder


def test_images_are_the_same_on_two_processes_and_after_an_interruption(model, tmp_path):
    flags = (model, "--batch_size", 8, "--seed", 3)
    generate(*flags, "--num_images", 50, "--output_dir", tmp_path / "one")
    images = contents(tmp_path / "one")
    assert sorted(images) == [f"{i:08d}.png" for i in range(50)] and len(set(images.values())) == 50
    generate_on_two_processes(*flags, "--num_images", 50, "--output_dir", tmp_path / "two")
    assert contents(tmp_path / "two") == images

    # As after a kill or a power cut: some images are missing, empty or cut off.
    kept = tmp_path / "two" / "00000000.png"
    before = kept.stat().st_mtime_ns
    for i in (7, 20, 49):
        (tmp_path / "two" / f"{i:08d}.png").unlink()
    (tmp_path / "two" / ".part-1-1.png").write_bytes(b"half")
    (tmp_path / "two" / "00000008.png").write_bytes(b"")
    (tmp_path / "two" / "00000009.png").write_bytes(images["00000009.png"][:-20])
    generate(*flags, "--num_images", 50, "--output_dir", tmp_path / "two")
    assert contents(tmp_path / "two") == images and kept.stat().st_mtime_ns == before
    assert not list((tmp_path / "two").glob(".*"))

    # More images continue the folder. Each is the pipeline's for its seed (fused layers round differently).
    generate_on_two_processes(*flags, "--num_images", 53, "--output_dir", tmp_path / "two")
    more = contents(tmp_path / "two")
    assert len(more) == 53 and images.items() <= more.items()
    (expected,) = DCGANPipeline.from_pretrained(model)(generator=torch.Generator().manual_seed(3 + 52)).images
    difference = np.asarray(PIL.Image.open(tmp_path / "two" / "00000052.png"), int) - np.asarray(expected, int)
    assert abs(difference).max() <= 1


def test_classes_take_turns_and_are_written_down(tmp_path):
    model = save_model(tmp_path / "model", num_classes=3, id2label={0: "cat", 1: "dog", 2: "7"})
    flags = (model, "--num_images", 7, "--output_dir", tmp_path / "all")
    generate(*flags)
    dataset = load_dataset("imagefolder", data_dir=str(tmp_path / "all"), split="train", cache_dir=str(tmp_path))
    assert dataset["label"] == [0, 1, 2, 0, 1, 2, 0] and dataset["class_name"][:3] == ["cat", "dog", "7"]
    flags = (model, "--num_images", 4, "--output_dir", tmp_path / "some", "--class_labels", "7", "1")
    generate(*flags)
    rows = (tmp_path / "some" / "metadata.jsonl").read_text().splitlines()
    assert [json.loads(row)["label"] for row in rows] == [2, 1, 2, 1]


def test_wrong_use(model, tmp_path):
    folder = tmp_path / "images"
    generate(model, "--num_images", 2, "--output_dir", folder)
    before = contents(folder)
    for flags, message in (
        (["--seed", 1, "--num_images", 3], "contains images made with"),
        (["--truncation", 0.5, "--num_images", 3], "contains images made with"),
        (["--num_images", 0], "`num_images` must be at least 1, got 0"),
        (["--class_labels", "cat"], "requires a class-conditional model"),
        (["--truncation", -1], "`truncation` must be positive"),
    ):
        with pytest.raises(ValueError, match=message):
            generate(model, "--output_dir", folder, *flags)
    assert contents(folder) == before
    with pytest.raises(ValueError, match="`truncation` must be positive"):
        generate(model, "--output_dir", tmp_path / "new", "--truncation", -1)
    assert not (tmp_path / "new").exists()


def test_many_images_are_those_of_the_pipeline_however_they_are_computed(model, tmp_path, monkeypatch):
    def all_winograd(shapes, *args, **kwargs):
        ways = {str(shape): shape.ways(torch.float32)[-1] for shape in shapes}
        assert set(ways.values()) == {"winograd_5", "pixel_shuffle"}
        return {"no": 1.0}, {"no": ways}

    generate(model, "--num_images=30", f"--output_dir={tmp_path / 'few'}")
    monkeypatch.setattr("dcgan_hf.inference.pipelines._MANY_IMAGES", 30)
    generate(model, "--num_images=30", f"--output_dir={tmp_path / 'measured'}")
    monkeypatch.setattr("dcgan_hf.inference.pipelines.choose_ways", all_winograd)
    generate(model, "--num_images=30", f"--output_dir={tmp_path / 'many'}")
    for path in sorted((tmp_path / "few").glob("*.png")):
        for folder in ("measured", "many"):
            images = [np.asarray(PIL.Image.open(file), int) for file in (path, tmp_path / folder / path.name)]
            assert np.abs(images[0] - images[1]).max() <= 1
