"""Tests that a folder loads completely or not at all: weights that are missing, wrong or pickled, sizes, indexes."""

import json
import shutil

import pytest
import safetensors.torch
import torch
from diffusers import DiffusionPipeline
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModel

from dcgan_hf import (
    DCGANDiscriminator,
    DCGANDiscriminatorConfig,
    DCGANForImageClassification,
    DCGANGenerator,
    DCGANGeneratorConfig,
    DCGANPipeline,
    DCGANSuperResolutionConfig,
    DCGANSuperResolutionPipeline,
)
from dcgan_hf.cli.main import main

from ..models.test_super_resolution import make_generator
from ..train_utils import run_command
from .test_pipeline_dcgan import make_pipeline


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    make_pipeline().save_pretrained(folder)
    return folder


@pytest.fixture
def folder(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "model")


def change_weights(folder, change, network="generator"):
    path = folder / network / "model.safetensors"
    weights = safetensors.torch.load_file(path)
    safetensors.torch.save_file(change(weights), path, metadata={"format": "pt"})


def change_json(path, **fields):
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def with_value(name, value):
    def change(weights):
        weights[name].view(-1)[-1] = value
        return weights

    return change


WRONG_WEIGHTS = {
    "one missing": (lambda weights: {k: v for k, v in weights.items() if k != "layers.0.convolution.weight"}, "lacks"),
    "none": (lambda weights: {}, "lacks `layers.0.convolution.weight`, .* and 8 more"),
    "a further one": (lambda weights: weights | {"extra.weight": torch.zeros(1)}, "contains `extra.weight`"),
    "another shape": (lambda weights: weights | {"layers.1.bias": torch.zeros(99)}, r"\(99,\) instead of"),
    "NaN": (with_value("layers.0.convolution.weight", float("nan")), "NaN or infinite values in `layers.0.conv"),
    "infinity": (with_value("layers.1.running_mean", float("inf")), "NaN or infinite values in `layers.1.running_m"),
    "a negative variance": (with_value("layers.1.running_var", -1.0), "negative variance in `layers.1.running_var`"),
}


@pytest.mark.parametrize("kind", WRONG_WEIGHTS)
def test_weights_that_are_not_the_networks_are_refused(folder, kind):
    change, message = WRONG_WEIGHTS[kind]
    change_weights(folder, change)
    for load in (
        lambda: DCGANPipeline.from_pretrained(folder),
        lambda: DCGANGenerator.from_pretrained(folder, subfolder="generator"),
        lambda: AutoModel.from_pretrained(folder / "generator"),
        lambda: DiffusionPipeline.from_pretrained(folder, trust_remote_code=True),  # the code in the folder
    ):
        with pytest.raises(ValueError, match=f"generator.*{message}"):
            load()


@pytest.mark.parametrize("dtype", [None, torch.float32])
def test_weights_that_are_no_floats_are_refused(folder, dtype):
    change_weights(folder, lambda weights: {name: values.int() for name, values in weights.items()})
    with pytest.raises(ValueError, match="not as floats|not a floating-point dtype"):
        DCGANPipeline.from_pretrained(folder, dtype=dtype)


def test_the_other_networks_files_are_refused(folder, capsys):
    shutil.copy(folder / "discriminator" / "model.safetensors", folder / "generator" / "model.safetensors")
    with pytest.raises(ValueError, match="generator/model.safetensors does not hold the weights of a DCGANGenerator"):
        DCGANPipeline.from_pretrained(folder)
    shutil.copy(folder / "discriminator" / "config.json", folder / "generator" / "config.json")
    words = ["generate", str(folder), "--output_dir", str(folder.parent / "out")]
    assert main(words) == 2 and not (folder.parent / "out").exists()
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith(f"error: `config.json` in {folder}/generator: ") and "'dcgan_discriminator'" in line
    change_json(folder / "model_index.json", generator=[None, None])
    with pytest.raises(ValueError, match="expected .*'generator'"):
        DCGANPipeline.from_pretrained(folder)


def test_super_resolution_is_as_strict(tmp_path):
    DCGANSuperResolutionPipeline(make_generator()).save_pretrained(tmp_path)
    change_weights(tmp_path, lambda weights: {k: v for k, v in weights.items() if "image_conv" not in k})
    with pytest.raises(ValueError, match="lacks `image_convolution.bias`, `image_convolution.weight`"):
        DCGANSuperResolutionPipeline.from_pretrained(tmp_path)


def test_what_may_differ_still_loads(folder, tmp_path):
    def without_counters(weights):
        return {name: values for name, values in weights.items() if "num_batches_tracked" not in name}

    change_weights(folder, without_counters)  # of PyTorch before 0.4.1
    DCGANPipeline.from_pretrained(folder)
    place = {"pretrained_model_name_or_path": folder, "subfolder": "discriminator"}
    classifier = DCGANForImageClassification.from_pretrained(**place, num_labels=3)
    classifier.save_pretrained(tmp_path / "classifier", max_shard_size="1KB")
    assert len(list((tmp_path / "classifier").glob("model-*"))) > 1
    again = DCGANForImageClassification.from_pretrained(tmp_path / "classifier")
    assert torch.equal(again.classifier.weight, classifier.classifier.weight)
    more = {"num_labels": 5, "ignore_mismatched_sizes": True}
    assert DCGANForImageClassification.from_pretrained(tmp_path / "classifier", **more).num_labels == 5
    DCGANDiscriminator.from_pretrained(tmp_path / "classifier")  # as a feature extractor, with a new head
    half = DCGANPipeline.from_pretrained(folder, dtype=torch.bfloat16)
    half.save_pretrained(tmp_path / "half", variant="bf16")
    assert (
        DCGANPipeline.from_pretrained(tmp_path / "half", variant="bf16", dtype=torch.bfloat16).dtype == torch.bfloat16
    )
    # A discriminator without its head is not that of a classifier.
    change_weights(folder, lambda weights: {k: v for k, v in weights.items() if k != "head.weight"}, "discriminator")
    with pytest.raises(ValueError, match="lacks `head.weight`"):
        DCGANDiscriminator.from_pretrained(**place)


class RunsCode:
    def __reduce__(self):
        return exec, ("raise SystemExit('code ran')",)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "diffusion_pytorch_model.bin"])
def test_pickles_are_not_opened_but_the_converter_is_named(folder, capsys, name):
    path, weights = folder / "generator" / name, folder / "generator" / "model.safetensors"
    images = DCGANPipeline.from_pretrained(folder)(generator=torch.Generator().manual_seed(0), output_type="pt").images
    state = safetensors.torch.load_file(weights)
    weights.unlink()
    torch.save(RunsCode(), path)
    assert main(["generate", str(folder), "--output_dir", str(folder.parent / "out")]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith(f"error: {path} is a pickle") and f"`dcgan convert {path} FOLDER`" in line
    assert not [word for word in ("weights_only", "use_safetensors", "unsafe") if word in line]
    with pytest.raises(OSError, match="is a pickle"):
        DCGANGenerator.from_pretrained(folder / "generator", use_safetensors=False)
    torch.save(state, path)
    run_command("convert", path, folder.parent / "converted")
    converted = DCGANPipeline.from_pretrained(folder.parent / "converted")
    assert torch.equal(converted(generator=torch.Generator().manual_seed(0), output_type="pt").images, images)
    torch.save(with_value("layers.0.convolution.weight", float("nan"))(state), path)
    assert main(["convert", str(path), str(folder.parent / "not finite")]) == 2
    assert "NaN" in capsys.readouterr().err and not (folder.parent / "not finite").exists()


def test_a_repository_with_pickles_only(hub, token, folder):
    from huggingface_hub import create_repo, upload_folder

    (folder / "generator" / "model.safetensors").rename(folder / "generator" / "pytorch_model.bin")
    create_repo("org/pickled")
    upload_folder(repo_id="org/pickled", folder_path=folder)
    with pytest.raises(OSError, match="org/pickled/generator contains no `model.safetensors`.*dcgan conv") as caught:
        DCGANGenerator.from_pretrained("org/pickled", subfolder="generator")
    assert "use_safetensors" not in str(caught.value)


TOO_LARGE = [
    (DCGANGeneratorConfig, {"num_classes": 10_000_000}),
    (DCGANGeneratorConfig, {"num_labels": 10_000_000}),
    (DCGANGeneratorConfig, {"latent_dim": 10**9}),
    (DCGANGeneratorConfig, {"image_size": 2**40}),
    (DCGANGeneratorConfig, {"stem_hidden_sizes": [10**6]}),
    (DCGANGeneratorConfig, {"strides": [1] * 100_000}),
    (DCGANGeneratorConfig, {"hidden_sizes": [60_000, 60_000], "strides": [2, 2]}),
    (DCGANDiscriminatorConfig, {"hidden_size": 10**6}),
    (DCGANDiscriminatorConfig, {"hidden_size": 512, "num_classes": 100_000}),
    (DCGANDiscriminatorConfig, {"kernel_size": 10**5}),
    (DCGANSuperResolutionConfig, {"num_blocks": 10**9}),
    (DCGANSuperResolutionConfig, {"hidden_size": 8000}),
]


@pytest.mark.parametrize("config_class, fields", TOO_LARGE, ids=lambda value: str(value)[:40])
def test_sizes_are_bounded_before_anything_is_made(config_class, fields, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": config_class.model_type} | fields))
    with pytest.raises(ValueError, match=f"config.json.*{tmp_path.name}.* at most"):
        config_class.from_pretrained(tmp_path)


def test_large_sizes_that_exist_are_allowed():
    assert DCGANDiscriminatorConfig(num_classes=21_843).num_classes == 21_843  # ImageNet-21k
    DCGANGeneratorConfig(image_size=1024, hidden_size=128, num_classes=21_843)


def test_a_large_network_is_not_allocated_for_a_small_file(folder):
    """Its missing weights would fill 2 GB."""
    change_json(folder / "generator" / "config.json", hidden_sizes=[8192, 4096])
    with pytest.raises(ValueError, match="instead of"):
        DCGANPipeline.from_pretrained(folder)


FIELDS = st.sampled_from(
    [*DCGANGeneratorConfig().to_dict(), "num_labels", "feature_sizes", "from_dict", "kernel_sizes", "dtype"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(FIELDS, VALUES, min_size=1, max_size=2))
def test_any_config_gives_a_network_or_a_value_error(fields):
    base = DCGANGeneratorConfig(image_size=16, hidden_size=4, latent_dim=8).to_dict()
    try:
        config = DCGANGeneratorConfig.from_dict(base | fields)
        with torch.device("meta"):
            DCGANGenerator(config)
    except ValueError as error:
        assert str(error)


@pytest.mark.parametrize("content", ["", "[]", "{}", "3", '{"_class_name": []}', '{"_class_name": 3}', "[" * 10_000])
def test_a_wrong_index_is_named(folder, capsys, content):
    (folder / "model_index.json").write_text(content)
    assert main(["generate", str(folder), "--output_dir", str(folder.parent / "out")]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert "model_index.json" in line and "--debug" not in line
