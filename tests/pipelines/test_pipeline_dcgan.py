import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import ImagePipelineOutput
from safetensors.torch import load_file

from dcgan_hf import (
    DCGANDiscriminator,
    DCGANDiscriminatorConfig,
    DCGANGenerator,
    DCGANGeneratorConfig,
    DCGANPipeline,
    pipeline_dcgan,
)


SAVED_FILES = [
    "config.json",
    "discriminator/config.json",
    "discriminator/model.safetensors",
    "discriminator/modeling_dcgan.py",
    "discriminator/preprocessor_config.json",
    "generator/config.json",
    "generator/model.safetensors",
    "generator/modeling_dcgan.py",
    "model_index.json",
    "modeling_dcgan.py",
    "pipeline_dcgan.py",
    "pipeline_portable.py",
]


def make_pipeline(num_channels=3, num_classes=0, with_discriminator=True, image_size=16):
    names = dict(enumerate(["cat", "dog", "fish"][:num_classes]))
    common = {"image_size": image_size, "hidden_size": 8, "num_channels": num_channels, "num_classes": num_classes}
    common["id2label"] = names
    generator = DCGANGenerator(DCGANGeneratorConfig(**common, latent_dim=8))
    labels = (torch.arange(6) % num_classes,) if num_classes else ()
    for _ in range(3):
        generator.train()(torch.randn(6, 8), *labels)
    # Larger weights than the initial ones, so that images differ visibly.
    generator.layers[-1].convolution.weight.data *= 20
    discriminator = DCGANDiscriminator(DCGANDiscriminatorConfig(**common)) if with_discriminator else None
    pipe = DCGANPipeline(generator=generator.eval(), discriminator=discriminator)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def seeds(*numbers):
    return [torch.Generator().manual_seed(number) for number in numbers]


@pytest.fixture(scope="module")
def pipe():
    return make_pipeline()


@pytest.fixture(scope="module")
def conditional_pipe():
    return make_pipeline(num_classes=3)


def test_output_types(pipe):
    latents = torch.randn(3, 8)
    pt = pipe(latents=latents, output_type="pt").images
    assert pt.shape == (3, 3, 16, 16) and 0 <= pt.min() and pt.max() <= 1
    array = pipe(latents=latents, output_type="np").images
    assert array.shape == (3, 16, 16, 3)
    np.testing.assert_array_equal(array, pt.permute(0, 2, 3, 1).numpy())
    pil = pipe(latents=latents).images
    assert [image.mode for image in pil] == ["RGB"] * 3
    np.testing.assert_array_equal(np.stack([np.asarray(image) for image in pil]), (array * 255).round())
    torch.testing.assert_close(pt, pipe.generator(latents).pixel_values / 2 + 0.5)


@pytest.mark.parametrize("num_channels, mode", [(1, "L"), (3, "RGB"), (4, "RGBA")])
def test_image_modes(num_channels, mode):
    image = make_pipeline(num_channels)().images[0]
    assert (image.mode, image.size) == (mode, (16, 16))


def test_return_dict(pipe):
    output = pipe(generator=torch.manual_seed(0), output_type="pt")
    assert isinstance(output, ImagePipelineOutput)
    (images,) = pipe(generator=torch.manual_seed(0), output_type="pt", return_dict=False)
    assert torch.equal(images, output.images)


def test_latents_can_be_fetched_edited_and_passed(pipe):
    latents = pipe(4, generator=torch.manual_seed(0), output_type="latent").images
    assert latents.shape == (4, 8)
    images = pipe(4, generator=torch.manual_seed(0), output_type="pt").images
    assert torch.equal(pipe(latents=latents, output_type="pt").images, images)
    assert not torch.allclose(pipe(latents=-latents, output_type="pt").images, images)


def test_generator_makes_images_deterministic(pipe):
    first, again = (pipe(2, generator=torch.manual_seed(0), output_type="pt").images for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(pipe(2, generator=torch.manual_seed(1), output_type="pt").images, first)


def test_with_one_generator_per_image_an_image_does_not_depend_on_its_batch(pipe):
    together = pipe(3, generator=seeds(5, 6, 7), output_type="pt").images
    for i, seed in enumerate((5, 6, 7)):
        torch.testing.assert_close(pipe(generator=seeds(seed), output_type="pt").images[0], together[i])


def test_chunks_do_not_change_the_images(pipe, monkeypatch):
    latents = torch.randn(7, 8)
    whole = pipe(latents=latents, output_type="pt").images
    monkeypatch.setattr(pipeline_dcgan, "MAX_PIXELS_PER_FORWARD", 3 * 16 * 16)
    sizes = []
    hook = pipe.generator.register_forward_hook(lambda module, inputs, output: sizes.append(len(inputs[0])))
    torch.testing.assert_close(pipe(latents=latents, output_type="pt").images, whole)
    assert sizes == [3, 3, 1]
    assert len(pipe(latents=latents).images) == 7
    assert pipe(latents=latents, output_type="np").images.shape == (7, 16, 16, 3)
    hook.remove()


def test_samples_in_evaluation_mode_and_leaves_the_model_as_it_was():
    pipe = make_pipeline()
    latents = torch.randn(4, 8)
    expected = pipe(latents=latents, output_type="pt").images
    pipe.generator.train()
    before = {name: tensor.clone() for name, tensor in pipe.generator.state_dict().items()}
    assert torch.equal(pipe(latents=latents, output_type="pt").images, expected)
    assert pipe.generator.training
    assert all(torch.equal(before[name], tensor) for name, tensor in pipe.generator.state_dict().items())


@pytest.mark.parametrize("truncation", [0.1, 0.7, 2.0])
def test_truncation_gives_the_truncated_normal_distribution(pipe, truncation):
    from scipy import stats

    latents = pipe(4000, generator=torch.manual_seed(0), truncation=truncation, output_type="latent").images
    assert latents.abs().max() <= truncation
    distribution = stats.truncnorm(-truncation, truncation)
    assert stats.kstest(latents.flatten().numpy(), distribution.cdf).pvalue > 0.001


def test_weak_truncation_changes_nothing(pipe):
    plain = pipe(10, generator=torch.manual_seed(0), output_type="latent").images
    truncated = pipe(10, generator=torch.manual_seed(0), truncation=7, output_type="latent").images
    torch.testing.assert_close(truncated, plain, rtol=1e-4, atol=1e-4)


def test_class_labels_by_id_and_by_name(conditional_pipe):
    latents = torch.randn(3, 8)
    by_id = conditional_pipe(latents=latents, class_labels=[0, 2, 1], output_type="pt").images
    for labels in (["cat", "fish", "dog"], ["cat", 2, "dog"], torch.tensor([0, 2, 1]), np.array([0, 2, 1])):
        images = conditional_pipe(latents=latents, class_labels=labels, output_type="pt").images
        assert torch.equal(images, by_id)
    assert torch.equal(conditional_pipe.generator(latents, torch.tensor([0, 2, 1])).pixel_values / 2 + 0.5, by_id)
    one = conditional_pipe(3, class_labels="dog", generator=torch.manual_seed(0), output_type="pt").images
    three = conditional_pipe(class_labels=["dog"] * 3, generator=torch.manual_seed(0), output_type="pt").images
    assert torch.equal(one, three)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"batch_size": 0}, "`batch_size` must be a positive integer, got 0"),
        ({"batch_size": -1}, "`batch_size` must be a positive integer, got -1"),
        ({"batch_size": 1.5}, "`batch_size` must be a positive integer, got 1.5"),
        ({"batch_size": "4"}, "`batch_size` must be a positive integer, got '4'"),
        ({"latents": torch.randn(2, 9)}, r"`latents` must have shape \(2, 8\), got \(2, 9\)"),
        ({"latents": torch.randn(2, 8, 1, 1)}, r"`latents` must have shape \(2, 8\), got \(2, 8, 1, 1\)"),
        ({"latents": torch.randn(2, 8), "batch_size": 3}, r"`latents` must have shape \(3, 8\), got \(2, 8\)"),
        ({"latents": torch.randn(0, 8)}, "`batch_size` must be a positive integer, got 0"),
        ({"latents": torch.randn(2, 8), "generator": torch.manual_seed(0)}, "`latents` cannot be combined with"),
        ({"latents": torch.randn(2, 8), "truncation": 0.5}, "`latents` cannot be combined with"),
        ({"generator": seeds(0, 1), "batch_size": 3}, "a list of one per image, got 2 generators for 3 images"),
        ({"truncation": 0}, "`truncation` must be positive, got 0"),
        ({"truncation": float("nan")}, "`truncation` must be positive, got nan"),
        ({"output_type": "jpg"}, '`output_type` must be "pil", "np", "pt" or "latent", got \'jpg\''),
        ({"class_labels": 1}, "The generator has 0 classes, so `class_labels` must not be given"),
    ],
)
def test_bad_arguments(pipe, arguments, message):
    with pytest.raises(ValueError, match=message):
        pipe(**arguments)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"latents": torch.randn(2, 8)}, "has 3 classes, so `class_labels` must be given with `latents`"),
        ({"class_labels": 3}, "ids from 0 to 2 or names among .*'cat', 'dog', 'fish'.*, got 3"),
        ({"class_labels": -1}, "got -1"),
        ({"class_labels": "bird"}, "got 'bird'"),
        ({"class_labels": [0, 1.5]}, "got 1.5"),
        ({"class_labels": torch.tensor([[0, 1]])}, r"got \[0, 1\]"),
        ({"class_labels": []}, "`batch_size` must be a positive integer, got 0"),
        ({"class_labels": [0, 1], "batch_size": 3}, "one per image, got 2 for 3 images"),
        ({"class_labels": [0, 1, 2], "latents": torch.randn(2, 8)}, "one per image, got 3 for 2 images"),
    ],
)
def test_bad_class_labels(conditional_pipe, arguments, message):
    with pytest.raises(ValueError, match=message):
        conditional_pipe(**arguments)


def test_classes_are_drawn_with_the_generator(conditional_pipe):
    def draw(generator, **arguments):
        return conditional_pipe(generator=generator, output_type="pt", **arguments).images

    drawn = conditional_pipe.draw_class_ids(300, torch.Generator().manual_seed(0))
    assert min(drawn.count(class_id) for class_id in range(3)) > 70
    assert torch.equal(*(draw(torch.Generator().manual_seed(1), batch_size=8) for _ in range(2)))
    # With a generator for each image, an image depends on its own only.
    pair = draw([torch.Generator().manual_seed(seed) for seed in (7, 8)])
    torch.testing.assert_close(pair[1:], draw(torch.Generator().manual_seed(8)))
    # The latents are those of the same seed with given classes.
    seeds = [torch.Generator().manual_seed(2) for _ in range(2)]
    assert torch.equal(
        conditional_pipe(batch_size=4, generator=seeds[0], output_type="latent").images,
        conditional_pipe(batch_size=4, generator=seeds[1], class_labels=1, output_type="latent").images,
    )


@pytest.mark.parametrize("with_discriminator", [True, False])
@pytest.mark.parametrize("num_classes", [0, 3])
def test_save_and_load(tmp_path, with_discriminator, num_classes):
    pipe = make_pipeline(num_classes=num_classes, with_discriminator=with_discriminator)
    pipe.save_pretrained(tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".bin", ".pt", ".pkl")]
    loaded = DCGANPipeline.from_pretrained(tmp_path)
    labels = {"class_labels": [0, 1, 2, 0]} if num_classes else {}
    images = [p(4, generator=torch.manual_seed(0), output_type="pt", **labels).images for p in (pipe, loaded)]
    assert torch.equal(*images)
    assert (loaded.discriminator is not None) is with_discriminator
    if with_discriminator:
        for name, tensor in pipe.discriminator.state_dict().items():
            assert torch.equal(tensor, loaded.discriminator.state_dict()[name])


def test_the_saved_folder_is_a_contract(tmp_path):
    make_pipeline().save_pretrained(tmp_path)
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()) == SAVED_FILES
    index = json.loads((tmp_path / "model_index.json").read_text())
    del index["_diffusers_version"]
    assert index == {
        "_class_name": ["pipeline_dcgan", "DCGANPipeline"],
        "generator": ["modeling_dcgan", "DCGANGenerator"],
        "discriminator": ["modeling_dcgan", "DCGANDiscriminator"],
    }
    auto_maps = {
        name: json.loads((tmp_path / name / "config.json").read_text())["auto_map"]
        for name in ("", "generator", "discriminator")
    }
    assert auto_maps[""] == auto_maps["generator"]
    assert auto_maps["generator"] == {
        "AutoConfig": "modeling_dcgan.DCGANGeneratorConfig",
        "AutoModel": "modeling_dcgan.DCGANGenerator",
    }
    assert auto_maps["discriminator"] == {
        "AutoConfig": "modeling_dcgan.DCGANDiscriminatorConfig",
        "AutoImageProcessor": "modeling_dcgan.DCGANImageProcessor",
        "AutoModel": "modeling_dcgan.DCGANDiscriminator",
        "AutoModelForImageClassification": "modeling_dcgan.DCGANForImageClassification",
    }


def test_what_is_derived_from_the_pipeline_is_saved_as_the_pipeline(tmp_path):
    class DerivedPipeline(DCGANPipeline):
        pass

    DerivedPipeline(make_pipeline().generator).save_pretrained(tmp_path)
    index = json.loads((tmp_path / "model_index.json").read_text())
    assert index["_class_name"] == ["pipeline_dcgan", "DCGANPipeline"] and index["discriminator"] == [None, None]
    assert type(DerivedPipeline.from_pretrained(tmp_path)) is DerivedPipeline


def test_what_the_first_version_saved_loads_for_ever(tmp_path):
    folder = Path(__file__).parent / "saved_by_first_version"
    expected = load_file(folder / "expected.safetensors")
    latents, class_labels = expected["latents"], expected["class_labels"]
    pipe = DCGANPipeline.from_pretrained(folder)
    pipe.save_pretrained(tmp_path)
    for loaded in (pipe, DCGANPipeline.from_pretrained(tmp_path)):
        images = loaded(latents=latents, class_labels=class_labels, output_type="pt").images
        torch.testing.assert_close(images, expected["images"], rtol=1e-5, atol=1e-6)
        logits = loaded.discriminator(expected["images"] * 2 - 1, class_labels).logits
        torch.testing.assert_close(logits, expected["logits"], rtol=1e-5, atol=1e-5)
    assert loaded.get_class_ids(["dog", "cat"]) == [1, 0]


def test_loading_another_precision_does_not_depend_on_what_was_saved_last(tmp_path):
    pipe = make_pipeline()
    pipe.save_pretrained(tmp_path)
    pipe.to(torch.float16).save_pretrained(tmp_path, variant="fp16")
    assert DCGANPipeline.from_pretrained(tmp_path).generator.dtype == torch.float32
    assert DCGANPipeline.from_pretrained(tmp_path, variant="fp16").generator.dtype == torch.float16


def test_loading_can_leave_out_or_replace_components(tmp_path):
    pipe = make_pipeline()
    pipe.save_pretrained(tmp_path)
    assert DCGANPipeline.from_pretrained(tmp_path, discriminator=None).discriminator is None
    other = make_pipeline().generator
    assert DCGANPipeline.from_pretrained(tmp_path, generator=other).generator is other


def test_dtypes_and_variants(tmp_path):
    pipe = make_pipeline()
    latents = torch.randn(4, 8)
    expected = pipe(latents=latents, output_type="np").images
    pipe.to(torch.bfloat16)
    assert pipe.generator.dtype == torch.bfloat16
    np.testing.assert_allclose(pipe(latents=latents, output_type="np").images, expected, atol=0.05)
    assert pipe(latents=latents).images[0].mode == "RGB"
    pipe.save_pretrained(tmp_path, variant="bf16")
    assert (tmp_path / "generator" / "model.bf16.safetensors").is_file()
    loaded = DCGANPipeline.from_pretrained(tmp_path, variant="bf16", dtype=torch.bfloat16)
    assert loaded.generator.dtype == torch.bfloat16
    same = [p(latents=latents, output_type="pt").images for p in (pipe, loaded)]
    assert torch.equal(*same)


def test_the_seed_means_the_same_in_all_dtypes(pipe):
    latents = pipe(4, generator=torch.manual_seed(0), output_type="latent").images
    half = make_pipeline().to(torch.bfloat16)
    assert torch.equal(half(4, generator=torch.manual_seed(0), output_type="latent").images, latents)


def test_progress_bar_counts_images(capfd, monkeypatch):
    monkeypatch.delenv("TQDM_DISABLE")
    pipe = make_pipeline()
    pipe.set_progress_bar_config(disable=False)
    pipe(batch_size=5)
    assert "5/5" in capfd.readouterr().err


def test_pickle_and_from_pipe(pipe):
    latents = torch.randn(2, 8)
    expected = pipe(latents=latents, output_type="pt").images
    for copy in (pickle.loads(pickle.dumps(pipe)), DCGANPipeline.from_pipe(pipe)):
        copy.set_progress_bar_config(disable=True)
        assert torch.equal(copy(latents=latents, output_type="pt").images, expected)
