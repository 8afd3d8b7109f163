"""Tests of what the package imports, and when. What is imported shows in a fresh process only."""

import gc
import subprocess
import sys

import pytest

from dcgan_hf import DCGANDiscriminator, DCGANDiscriminatorConfig, DCGANGenerator, DCGANGeneratorConfig, DCGANPipeline
from dcgan_hf.imports import quick_imports


# What sampling does not need, and what does.
NOT_FOR_SAMPLING = {
    "datasets": "training and evaluation",
    "sklearn": "the built-in digits",
    "tensorboard": "logs of a run",
    "matplotlib": "plots",
    "torchmetrics": "evaluation",
    "captum": "explanations",
    "gradio": "the demo",
    "onnx": "export",
    "cyclopts": "the command",
    "dcgan_hf.cli": "the command",
    "dcgan_hf.data": "training and evaluation",
    "dcgan_hf.evaluation": "evaluation",
    "dcgan_hf.inference": "folders of images",
    "dcgan_hf.interpretability": "explanations",
    "dcgan_hf.publishing": "the Hub",
    "dcgan_hf.training": "training",
}
# What the networks do not need either.
NOT_FOR_NETWORKS = NOT_FOR_SAMPLING | {"diffusers": "pipelines", "dcgan_hf.pipeline_portable": "pipelines"}


def run_python(code, *words):
    result = subprocess.run([sys.executable, "-c", code, *map(str, words)], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout.split()


@pytest.fixture(scope="module")
def saved_pipeline(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pipeline")
    sizes = {"image_size": 16, "hidden_size": 4, "num_channels": 1}
    networks = DCGANGenerator(DCGANGeneratorConfig(**sizes)), DCGANDiscriminator(DCGANDiscriminatorConfig(**sizes))
    DCGANPipeline(*networks).save_pretrained(folder)
    return folder


def test_the_package_does_not_import_diffusers():
    loaded = run_python("import sys, dcgan_hf; print(*sys.modules)")
    assert not NOT_FOR_NETWORKS.keys() & {*loaded} and "dcgan_hf.modeling_dcgan" in loaded


def test_sampling_needs_no_training_extras(saved_pipeline):
    code = """
import sys
from dcgan_hf import DCGANPipeline
assert DCGANPipeline.from_pretrained(sys.argv[1])().images[0].size == (16, 16)
print(*sys.modules)
"""
    assert not NOT_FOR_SAMPLING.keys() & {*run_python(code, saved_pipeline)}


def test_the_package_registers_its_networks_without_being_used(saved_pipeline):
    """After the import alone, transformers finds the networks, and so does diffusers for anyone's pipeline."""
    code = """
import sys
import dcgan_hf
from transformers import AutoConfig, AutoImageProcessor, AutoModel, AutoModelForImageClassification
generator = AutoModel.from_pretrained(f"{sys.argv[1]}/generator")
discriminator = AutoModel.from_pretrained(f"{sys.argv[1]}/discriminator")
assert isinstance(generator, dcgan_hf.DCGANGenerator) and isinstance(discriminator, dcgan_hf.DCGANDiscriminator)
config = AutoConfig.from_pretrained(f"{sys.argv[1]}/discriminator", num_labels=2)
classifier = AutoModelForImageClassification.from_config(config)
assert isinstance(classifier, dcgan_hf.DCGANForImageClassification)
processor = AutoImageProcessor.from_pretrained(f"{sys.argv[1]}/discriminator")
assert isinstance(processor, dcgan_hf.DCGANImageProcessor)
enlarger = AutoModel.from_config(AutoConfig.for_model("dcgan_super_resolution"))
assert isinstance(enlarger, dcgan_hf.DCGANSuperResolutionGenerator)
"""
    run_python(code, saved_pipeline)


@pytest.fixture
def pipeline_of_a_stranger(tmp_path):
    """A saved pipeline whose class is not ours, but whose network is."""
    code = """
import sys
from diffusers import DiffusionPipeline
from dcgan_hf import DCGANGenerator, DCGANGeneratorConfig
class OwnPipeline(DiffusionPipeline):
    def __init__(self, generator):
        super().__init__()
        self.register_modules(generator=generator)
OwnPipeline(DCGANGenerator(DCGANGeneratorConfig(image_size=16, hidden_size=4))).save_pretrained(sys.argv[1])
"""
    run_python(code, tmp_path)
    return tmp_path


def test_diffusers_finds_the_networks_of_other_pipelines(pipeline_of_a_stranger):
    code = """
import sys
import dcgan_hf
from diffusers import DiffusionPipeline
class OwnPipeline(DiffusionPipeline):
    def __init__(self, generator):
        super().__init__()
        self.register_modules(generator=generator)
pipe = OwnPipeline.from_pretrained(sys.argv[1])
print(type(pipe.generator).__module__)
"""
    assert run_python(code, pipeline_of_a_stranger) == ["dcgan_hf.modeling_dcgan"]


def test_the_collector_waits_during_the_import_and_runs_afterwards():
    code = "import gc, dcgan_hf; print(gc.isenabled(), gc.get_freeze_count(), gc.get_stats()[2]['collections'])"
    enabled, frozen, whole_collections = run_python(code)
    assert (enabled, frozen, whole_collections) == ("True", "0", "0")
    assert run_python("import gc; gc.disable(); import dcgan_hf; print(gc.isenabled())") == ["False"]


def test_the_collector_runs_again_after_a_failed_import():
    with pytest.raises(ImportError), quick_imports():
        assert not gc.isenabled()
        raise ImportError
    assert gc.isenabled()
