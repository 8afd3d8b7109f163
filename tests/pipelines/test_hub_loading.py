"""Tests that published models load in every documented way: from the Hub, from the cache, from a folder."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from huggingface_hub import snapshot_download
from PIL import Image
from safetensors.torch import save_file

from dcgan_hf import DCGANForImageClassification, DCGANImageProcessor, DCGANPipeline

from .test_pipeline_dcgan import make_pipeline


SCRIPT = Path(__file__).with_name("load_in_every_way.py")


def load_elsewhere(package, pipeline, classifier, expected, **environment):
    result = subprocess.run(
        [sys.executable, SCRIPT, package, pipeline, classifier, expected],
        env=os.environ | {"PYTHONWARNINGS": "ignore", "HF_TOKEN": ""} | environment,
        cwd=expected.parent,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert "RESULTS" in result.stdout, result.stderr[-3000:]
    return json.loads(result.stdout.split("RESULTS")[1])


@pytest.fixture
def published(hub, token, tmp_path):
    """Publishes a pipeline and a classifier made from its discriminator. Returns a file with their outputs."""
    pipe = make_pipeline(num_channels=1)
    pipe.push_to_hub("org/dcgan")
    names = {i: f"class {i}" for i in range(3)}
    classifier = DCGANForImageClassification.from_pretrained("org/dcgan", subfolder="discriminator", id2label=names)
    classifier.push_to_hub("org/classifier")
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8))
    pixel_values = DCGANImageProcessor(size=16, num_channels=1)(image, return_tensors="pt").pixel_values
    latents = torch.randn(4, 8)
    with torch.no_grad():
        expected = {
            "latents": latents,
            "images": pipe(latents=latents, output_type="pt").images,
            "image": torch.from_numpy(np.array(image)),
            "pixel_values": pixel_values,
            "features": pipe.discriminator.eval()(pixel_values).pooler_output,
            "class": classifier.eval()(pixel_values).logits.argmax().float(),
        }
    save_file({name: tensor.contiguous() for name, tensor in expected.items()}, tmp_path / "expected.safetensors")
    return tmp_path / "expected.safetensors"


@pytest.mark.parametrize("package", ["with", "without"])
def test_every_way(hub, published, package, tmp_path):
    home = {"HF_HOME": str(tmp_path / "home")}
    online = load_elsewhere(package, "org/dcgan", "org/classifier", published, **home)
    assert online == dict.fromkeys(online, "equal")
    offline = load_elsewhere(package, "org/dcgan", "org/classifier", published, HF_HUB_OFFLINE="1", **home)
    # diffusers 0.42 requests the commit of a repository's code from the Hub even if it is cached. Its folder loads.
    assert offline.pop("2b DiffusionPipeline").startswith("OfflineModeIsEnabled")
    assert offline == dict.fromkeys(offline, "equal")
    folders = [snapshot_download(name, local_dir=tmp_path / name) for name in ("org/dcgan", "org/classifier")]
    folder = load_elsewhere(package, *folders, published, HF_HUB_OFFLINE="1", HF_HOME=str(tmp_path / "other home"))
    assert folder == dict.fromkeys(folder, "equal")


def test_with_the_package_no_code_is_downloaded(hub, published, tmp_path):
    del hub.requests[:]
    pipe = DCGANPipeline.from_pretrained("org/dcgan", cache_dir=tmp_path / "cache")
    paths = [request.path for request in hub.requests]
    assert any("model.safetensors" in path for path in paths)
    assert not [path for path in paths if ".py" in path]
    assert not list((tmp_path / "cache").rglob("*.py")) and list((tmp_path / "cache").rglob("model.safetensors"))
    assert not pipe.generator.training


def test_revisions_variants_and_precisions(hub, published, tmp_path):
    first = hub.commits("org/dcgan")[0][1]
    latents = torch.randn(2, 8)
    before = DCGANPipeline.from_pretrained("org/dcgan")
    other = make_pipeline(num_channels=1)
    for parameter in other.generator.parameters():
        parameter.data.mul_(1.5)
    other.push_to_hub("org/dcgan")
    images = [
        pipe(latents=latents, output_type="pt").images
        for pipe in (before, other, *(DCGANPipeline.from_pretrained("org/dcgan", revision=r) for r in (first, "main")))
    ]
    assert torch.equal(images[0], images[2]) and torch.equal(images[1], images[3])
    assert not torch.allclose(images[0], images[1])

    other.to(torch.float16).push_to_hub("org/dcgan", variant="fp16")
    del hub.requests[:]
    half = DCGANPipeline.from_pretrained("org/dcgan", variant="fp16", dtype=torch.float16, cache_dir=tmp_path)
    assert half.generator.dtype == half.discriminator.dtype == torch.float16
    assert not [request.path for request in hub.requests if request.path.endswith("model.safetensors")]
    assert DCGANPipeline.from_pretrained("org/dcgan").generator.dtype == torch.float32
    assert DCGANPipeline.from_pretrained("org/dcgan", dtype=torch.bfloat16).generator.dtype == torch.bfloat16


def test_components_that_are_given_or_not_wanted_are_not_downloaded(hub, published, tmp_path):
    DCGANPipeline.from_pretrained("org/dcgan", discriminator=None, cache_dir=tmp_path)
    assert list(tmp_path.rglob("generator")) and not list((tmp_path / "models--org--dcgan").rglob("discriminator"))


def test_private_repositories(hub, token, monkeypatch, tmp_path):
    make_pipeline().push_to_hub("org/secret", private=True)
    assert hub.is_private("org/secret")
    DCGANPipeline.from_pretrained("org/secret", cache_dir=tmp_path / "logged in")
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(OSError, match="'org/secret' is neither a local folder nor a model .* that you have access to"):
        DCGANPipeline.from_pretrained("org/secret", cache_dir=tmp_path / "not")
    DCGANPipeline.from_pretrained("org/secret", cache_dir=tmp_path / "with token", token=token)


def test_what_is_missing_is_named(hub, published):
    with pytest.raises(OSError, match="'org/nowhere' is neither a local folder nor a model on the Hub"):
        DCGANPipeline.from_pretrained("org/nowhere")
    with pytest.raises(OSError, match="'org/dcgan' has no revision 'v9'"):
        DCGANPipeline.from_pretrained("org/dcgan", revision="v9")
    with pytest.raises(ValueError, match="variant=int8"):
        DCGANPipeline.from_pretrained("org/dcgan", variant="int8")
    with hub.down():
        with pytest.raises(OSError, match="neither a local folder nor in the cache, and the Hub cannot be reached"):
            DCGANPipeline.from_pretrained("org/never-seen")


def test_a_cached_pipeline_loads_while_the_hub_is_down(hub, published):
    before = DCGANPipeline.from_pretrained("org/dcgan")
    with hub.down():
        after = DCGANPipeline.from_pretrained("org/dcgan")
    latents = torch.randn(2, 8)
    assert torch.equal(*(pipe(latents=latents, output_type="pt").images for pipe in (before, after)))


def test_saving_what_was_loaded_without_the_package_stays_portable(published, tmp_path):
    folder = snapshot_download("org/dcgan", local_dir=tmp_path / "dcgan")
    code = (
        "import sys; sys.modules['dcgan_hf'] = None\n"
        "from diffusers import DiffusionPipeline\n"
        f"DiffusionPipeline.from_pretrained({folder!r}, trust_remote_code=True).save_pretrained('again')\n"
        "DiffusionPipeline.from_pretrained('again', trust_remote_code=True)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, env=os.environ | {"HF_HUB_OFFLINE": "1"})
    files = [
        {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}
        for root in (Path(folder), tmp_path / "again")
    ]
    assert {name: files[0][name] for name in files[1]} == files[1]
