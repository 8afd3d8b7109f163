"""Tests of generated images with the contrast of real ones."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from dcgan_hf import DCGANDiscriminator, DCGANDiscriminatorConfig, DCGANPipeline, DCGANTrainer, DCGANTrainingArguments
from dcgan_hf.pictures import to_pixel_values
from dcgan_hf.training.contrast import match_contrast
from dcgan_hf.training.failures import diagnose_noise

from ..pipelines.test_pipeline_dcgan import make_pipeline
from ..train_utils import fingerprint, train_elsewhere, train_here
from .test_trainer import TINY, make_trainer, pictures


def make_generator(**options):
    """Returns a generator whose images have a contrast of about 0.3."""
    generator = make_pipeline(**options).generator
    labels = (torch.arange(64) % 3,) if options else ()
    with torch.no_grad():
        generator.layers[-1].convolution.weight.mul_(0.3 / pixels_of(generator, *labels).square().mean().sqrt())
    return generator


def real_images(scale=0.6, number=64):
    values = scale * torch.rand(number, 3, 16, 16, generator=torch.Generator().manual_seed(1)).mul(2).sub(1)
    return values.add(1).mul(127.5).round().byte()


def latents_of(number=64):
    return torch.randn(number, 8, generator=torch.Generator().manual_seed(2))


def contrast_of(images):
    return images.float().div(127.5).sub(1).square().mean().sqrt().item()


@torch.no_grad()
def pixels_of(generator, *labels):
    return generator.eval()(latents_of(), *labels).pixel_values


@settings(max_examples=20, deadline=None)
@given(st.floats(0.2, 0.9), st.floats(-1, 1))
def test_contrast_becomes_that_of_the_images_whatever_it_was(scale, exponent):
    generator = make_generator()
    images = real_images(scale)
    matched = match_contrast(generator, images, latents_of())
    assert pixels_of(matched).square().mean().sqrt().item() == pytest.approx(contrast_of(images), rel=1e-3)
    with torch.no_grad():
        generator.layers[-1].convolution.weight.mul_(2**exponent)
    same = match_contrast(generator, images, latents_of())
    torch.testing.assert_close(pixels_of(same), pixels_of(matched), rtol=1e-2, atol=1e-3)


def test_the_generator_itself_does_not_change_nor_does_anything_but_its_last_layer():
    generator = make_generator().train()
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    matched = match_contrast(generator, real_images(), latents_of())
    assert generator.training and not matched.training
    after, copied = generator.state_dict(), matched.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    changed = {name for name, value in before.items() if not torch.equal(copied[name], value)}
    assert changed == {f"layers.{len(matched.layers) - 1}.convolution.weight"}


def test_each_image_counts_the_same_however_many_there_are():
    generator = make_generator()
    with torch.no_grad():
        pixel_values = generator.eval()(latents_of(100)).pixel_values
    images = pixel_values.add(1).mul(127.5).round().byte()
    weights, expected = (
        g.layers[-1].convolution.weight for g in (match_contrast(generator, images, latents_of(100)), generator)
    )
    torch.testing.assert_close(weights, expected, rtol=1e-3, atol=1e-6)


def test_labels_are_those_of_the_images():
    generator = make_generator(num_classes=3)
    labels = torch.arange(64) % 3
    images = real_images(0.5)
    matched = match_contrast(generator, images, latents_of(), labels)
    assert pixels_of(matched, labels).square().mean().sqrt().item() == pytest.approx(contrast_of(images), rel=1e-3)


@pytest.mark.parametrize("scale, factor", [(1e-4, 8.0), (100.0, 1 / 8)])
def test_images_of_an_untrained_generator_are_not_amplified_without_bounds(scale, factor):
    generator = make_generator()
    with torch.no_grad():
        generator.layers[-1].convolution.weight.mul_(scale)
    matched = match_contrast(generator, real_images(), latents_of())
    weights, expected = (network.layers[-1].convolution.weight for network in (matched, generator))
    torch.testing.assert_close(weights, factor * expected, rtol=1e-3, atol=0)


def finish(output_dir, **changes):
    trainer = make_trainer(output_dir, **changes)
    trainer.train()
    return trainer


@pytest.mark.parametrize("use_ema", [True, False])
def test_training_is_the_same_and_a_finished_run_can_be_matched_later(tmp_path, use_ema):
    options = {"use_ema": use_ema, "max_train_steps": 3, "checkpointing_steps": 3}
    finish(tmp_path / "plain", **options)
    finish(tmp_path / "matched", **options, match_contrast=True)
    plain, matched = tmp_path / "plain", tmp_path / "matched"
    assert fingerprint(plain / "checkpoint-3") == fingerprint(matched / "checkpoint-3")
    sample = "samples/step-0000003.png"
    weights, picture = fingerprint(plain / "generator"), (plain / sample).read_bytes()
    finish(plain, **options, match_contrast=True, resume_from_checkpoint="latest")
    assert fingerprint(plain / "generator") == fingerprint(matched / "generator") != weights
    assert (plain / sample).read_bytes() == (matched / sample).read_bytes() != picture


def test_samples_and_pipeline_have_the_contrast_of_the_images(tmp_path):
    trainer = finish(tmp_path / "run", match_contrast=True, max_train_steps=100, learning_rate=5e-3)
    images = torch.cat([trainer.pipeline(64, output_type="pt").images for _ in range(4)]) * 255
    real = torch.cat([batch["pixel_values"] for batch in trainer.task.loader.batches(0)])
    assert contrast_of(images) == pytest.approx(contrast_of(real), rel=0.1)
    loaded = DCGANPipeline.from_pretrained(tmp_path / "run")
    again = loaded(4, generator=torch.Generator().manual_seed(0), output_type="pt").images
    torch.testing.assert_close(
        again, trainer.pipeline(4, generator=torch.Generator().manual_seed(0), output_type="pt").images
    )


def test_two_processes_agree_on_the_contrast(tmp_path):
    """The first process reads the images, of which it has half. All of them have nearly the same contrast."""
    options = {"max_train_steps": 2, "match_contrast": "true", "resume_from_checkpoint": "latest"}
    path = tmp_path / "run" / "generator" / "model.safetensors"
    train_elsewhere(tmp_path / "run", processes=2, train_batch_size=16, **options)
    two = load_file(path)
    train_here(tmp_path / "run", train_batch_size=32, **options)
    for name, one in load_file(path).items():
        torch.testing.assert_close(two[name], one, rtol=0.1, atol=1e-6)


def test_a_contrast_far_too_high_is_found_as_exactly():
    """Where tanh has rounded pixels to 1, the factor must come from the values before it."""
    generator = make_generator()
    with torch.no_grad():
        generator.layers[-1].convolution.weight.mul_(14)
    images = real_images(0.9)
    matched = match_contrast(generator, images, latents_of())
    assert pixels_of(matched).square().mean().sqrt().item() == pytest.approx(contrast_of(images), rel=1e-3)


def test_random_states_stay_as_they_are_for_networks_that_draw_from_them(tmp_path):
    class Noisy(DCGANDiscriminator):
        def encode(self, pixel_values):
            return super().encode(pixel_values + 0.1 * torch.randn_like(pixel_values))

    def run(name, **changes):
        torch.manual_seed(0)
        discriminator = Noisy(DCGANDiscriminatorConfig(image_size=16, num_channels=1, hidden_size=8))
        arguments = DCGANTrainingArguments(output_dir=tmp_path / name, **TINY, save_images_steps=1, **changes)
        trainer = DCGANTrainer(arguments, pictures(), networks=(None, discriminator))
        trainer.train()
        return fingerprint(tmp_path / name / "checkpoint-4")

    assert run("plain") == run("matched", match_contrast=True)


def test_the_card_of_a_finished_run_tells_that_its_contrast_was_matched(tmp_path):
    finish(tmp_path / "run")
    assert "match_contrast: true" not in (tmp_path / "run" / "README.md").read_text()
    finish(tmp_path / "run", match_contrast=True, resume_from_checkpoint="latest")
    assert "match_contrast: true" in (tmp_path / "run" / "README.md").read_text()


def test_who_matches_the_contrast_is_not_advised_to():
    images = to_pixel_values(real_images())
    assert "--match_contrast" in diagnose_noise(images, 0.4 * images, 1000)
    assert "--match_contrast" not in diagnose_noise(images, 0.4 * images, 1000, advises_contrast=False)


@pytest.mark.parametrize(
    "match, norm_type, advises", [(False, "batch", True), (True, "batch", False), (False, "spectral", False)]
)
def test_only_who_can_match_the_contrast_is_advised_to(tmp_path, monkeypatch, match, norm_type, advises):
    seen = []

    def note(*arguments, advises_contrast):
        seen.append(advises_contrast)

    monkeypatch.setattr("dcgan_hf.training.generation.diagnose_noise", note)
    finish(tmp_path / "run", match_contrast=match, generator_config={"norm_type": norm_type})
    assert seen == [advises]


@pytest.mark.parametrize("networks", [False, True])
def test_what_cannot_be_matched_is_refused_before_training(tmp_path, networks):
    spectral = {"norm_type": "spectral"}
    with pytest.raises(
        ValueError, match="does not work with a generator of `norm_type=spectral`, which would undo it"
    ):
        if networks:
            pipe = make_pipeline(num_channels=1)
            config = pipe.generator.config.__class__(**pipe.generator.config.to_dict() | spectral)
            arguments = DCGANTrainingArguments(output_dir=tmp_path / "run", **TINY, match_contrast=True)
            parts = (type(pipe.generator)(config), pipe.discriminator)
            DCGANTrainer(arguments, pictures(), networks=parts).train()
        else:
            DCGANTrainingArguments(match_contrast=True, generator_config=spectral)
    assert not (tmp_path / "run").exists()


def test_generators_of_other_classes_are_refused(tmp_path):
    class OwnGenerator(torch.nn.Module):
        pass

    arguments = DCGANTrainingArguments(output_dir=tmp_path / "run", **TINY, match_contrast=True)
    with pytest.raises(
        ValueError, match="needs a `DCGANGenerator`, not a subclass or another class, got OwnGenerator"
    ):
        DCGANTrainer(arguments, pictures(), networks=(OwnGenerator(), None)).train()
