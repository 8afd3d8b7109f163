"""
Loads a published pipeline and classifier in every documented way, in a separate process, and prints the results as
JSON: `python load_in_every_way.py with|without PIPELINE CLASSIFIER EXPECTED`. "without" hides dcgan_hf.
"""

import json
import sys
from pathlib import Path


package, source, classifier, expected_file = sys.argv[1:]
installed = package == "with"
if not installed:
    sys.modules["dcgan_hf"] = None  # every import of it raises ImportError

import torch  # noqa: E402
from diffusers import DiffusionPipeline  # noqa: E402
from huggingface_hub import snapshot_download  # noqa: E402
from PIL import Image  # noqa: E402
from safetensors.torch import load_file  # noqa: E402
from transformers import AutoConfig, AutoImageProcessor, AutoModel, pipeline  # noqa: E402


if installed:
    import dcgan_hf  # noqa: F401  registers the Auto classes

expected = load_file(expected_file)
image = Image.fromarray(expected["image"].numpy())
# Without the package, the code comes from the repository.
trust = {} if installed else {"trust_remote_code": True}
local = Path(source).is_dir()


def images_of(pipe):
    pipe.set_progress_bar_config(disable=True)
    return pipe(latents=expected["latents"], output_type="pt").images


def dcgan_pipeline(**options):
    from dcgan_hf import DCGANPipeline

    pipe = DCGANPipeline.from_pretrained(source, **options)
    assert type(pipe.generator).__module__ == "dcgan_hf.modeling_dcgan"
    return images_of(pipe), expected["images"]


def diffusion_pipeline(source=source, **options):
    pipe = DiffusionPipeline.from_pretrained(source, trust_remote_code=True, **options)
    assert type(pipe).__module__.startswith("diffusers_modules")
    return images_of(pipe), expected["images"]


def auto_model():
    model = AutoModel.from_pretrained(source, subfolder="generator", **trust)
    assert type(model).__module__.startswith("dcgan_hf." if installed else "transformers_modules.")
    with torch.no_grad():
        return model(expected["latents"]).pixel_values / 2 + 0.5, expected["images"]


def auto_config():
    config = AutoConfig.from_pretrained(source, subfolder="generator", **trust)
    return torch.tensor(config.latent_dim), torch.tensor(expected["latents"].shape[1])


def auto_image_processor():
    processor = AutoImageProcessor.from_pretrained(source, subfolder="discriminator", **trust)
    return processor(image, return_tensors="pt").pixel_values, expected["pixel_values"]


def image_feature_extraction():
    extractor = pipeline(
        "image-feature-extraction", source, model_kwargs={"subfolder": "discriminator"}, **trust, device="cpu"
    )
    return extractor(image, pool=True, return_tensors=True), expected["features"]


def image_classification():
    (best, *_) = pipeline("image-classification", classifier, **trust, device="cpu")(image)
    return torch.tensor(float(best["label"].removeprefix("class "))), expected["class"]


ways = {
    "2b DiffusionPipeline": diffusion_pipeline,
    "2c AutoModel": auto_model,
    "2c AutoConfig": auto_config,
    "2d AutoImageProcessor": auto_image_processor,
    "2d image-feature-extraction": image_feature_extraction,
    "2d image-classification": image_classification,
}
if installed:
    ways["2a DCGANPipeline"] = dcgan_pipeline
if not local:
    ways["2b DiffusionPipeline of snapshot_download"] = lambda: diffusion_pipeline(snapshot_download(source))
results = {}
for name, way in ways.items():
    try:
        got, wanted = way()
        torch.testing.assert_close(got.float(), wanted.float(), rtol=1e-5, atol=1e-6)
        results[name] = "equal"
    except Exception as error:
        results[name] = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
print("RESULTS" + json.dumps(results))
