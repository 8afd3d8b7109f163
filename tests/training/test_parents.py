"""Tests of fine-tuning a trained model."""

import json
import shutil

import PIL.Image
import pytest
import torch
from huggingface_hub import ModelCard
from safetensors.torch import load_file

from dcgan_hf import (
    DCGANDiscriminator,
    DCGANDiscriminatorConfig,
    DCGANForImageClassification,
    DCGANGenerator,
    DCGANPipeline,
    DCGANSuperResolutionPipeline,
    DCGANSuperResolutionTrainer,
    DCGANSuperResolutionTrainingArguments,
    DCGANTrainer,
    DCGANTrainingArguments,
    TrainerCallback,
)

from ..models.test_super_resolution import make_generator
from ..pipelines.test_pipeline_dcgan import make_pipeline
from ..processes import run_elsewhere
from ..train_utils import fingerprint, run_command
from .test_trainer import pictures


# What a parent does not decide.
RUN = {"train_batch_size": 8, "lr_scheduler": "constant", "max_train_steps": 2, "eval_batch_size": 4}
RUN |= {"use_cpu": True, "mixed_precision": "no", "autotune": "off", "num_cpu_threads": 1, "checkpointing_steps": 1}
PARENT = "pretrained_model_name_or_path"
SPECTRAL = {"norm_type": "spectral"}


@pytest.fixture(scope="module")
def parent(tmp_path_factory):
    """Folder of a model of 16x16 RGB images."""
    torch.manual_seed(0)
    pipe = make_pipeline()
    pipe.discriminator.config.resize_mode = "pad"
    folder = tmp_path_factory.mktemp("models") / "dcgan-cats"
    pipe.save_pretrained(folder)
    return folder


def train(output_dir, dataset=None, pipeline=None, callbacks=(), resume=None, **changes):
    args = DCGANTrainingArguments(output_dir=str(output_dir), **RUN | changes)
    trainer = DCGANTrainer(args, dataset or pictures(), pipeline=pipeline, callbacks=callbacks)
    trainer.train(resume_from_checkpoint=resume)
    return trainer


def draw(generator):
    return generator.eval()(torch.randn(3, 8, generator=torch.Generator().manual_seed(0))).pixel_values


class Start(TrainerCallback):
    """Keeps the images of both generators before the first update."""

    def on_train_begin(self, args, state, control, trainer, **kwargs):
        average = trainer.engine.ema.generator
        with torch.no_grad():
            self.images = [draw(generator) for generator in (trainer.engine.generator, average)]
        trainer.engine.generator.train()
        assert average is not trainer.engine.generator


def test_training_begins_with_the_parent(tmp_path, parent):
    start, pipe = Start(), DCGANPipeline.from_pretrained(parent)
    trainer = train(tmp_path / "child", callbacks=[start], **{PARENT: parent})
    for images in start.images:
        assert torch.equal(images, draw(pipe.generator))
    child = DCGANPipeline.from_pretrained(tmp_path / "child")
    assert child.discriminator.config.resize_mode == "pad"
    for name in ("generator/config.json", "discriminator/config.json", "discriminator/preprocessor_config.json"):
        ours, theirs = (json.loads((folder / name).read_text()) for folder in (tmp_path / "child", parent))
        assert ours | {"label2id": {}} == theirs | {"label2id": {}}
    assert not torch.equal(draw(child.generator), start.images[0])
    assert trainer.args.resolution == 16 and trainer.args.num_channels == 3 and trainer.args.latent_dim == 8
    recorded = json.loads((tmp_path / "child" / "training_args.json").read_text())
    assert recorded[PARENT] == str(parent) and recorded["resize_mode"] == "pad"
    # The card names no path, and no repository.
    card = ModelCard.load(tmp_path / "child" / "README.md")
    assert "fine-tuned from `dcgan-cats`" in card.text and "**Start:** the networks of `dcgan-cats`." in card.text
    assert f"{PARENT}: dcgan-cats\n" in card.text and str(parent.parent) not in card.content
    assert card.data.base_model is None and "base_model_relation" not in card.data.to_dict()


def test_a_pipeline_in_python_is_the_same_and_is_left_as_it_is(tmp_path, parent):
    pipe = DCGANPipeline.from_pretrained(parent)
    before = {name: values.clone() for name, values in pipe.generator.state_dict().items()}
    train(tmp_path / "python", pipeline=pipe)
    train(tmp_path / "flag", **{PARENT: parent})
    assert fingerprint(tmp_path / "python" / "checkpoint-2") == fingerprint(tmp_path / "flag" / "checkpoint-2")
    assert all(torch.equal(values, before[name]) for name, values in pipe.generator.state_dict().items())
    train(tmp_path / "memory", pipeline=make_pipeline())
    card = (tmp_path / "memory" / "README.md").read_text()
    assert "fine-tuned from `an in-memory pipeline`" in card and PARENT not in card


def test_a_resumed_run_needs_no_parent(tmp_path, parent):
    gone = shutil.copytree(parent, tmp_path / "gone")
    options = {PARENT: gone, "freeze_discriminator_layers": 1, "class_conditional": True}
    train(tmp_path / "whole", **options)
    for name in ("flags", "bare"):
        train(tmp_path / name, **options | {"max_train_steps": 1})
    shutil.rmtree(gone)
    whole = fingerprint(tmp_path / "whole" / "checkpoint-2")
    train(tmp_path / "flags", resume=True, **options)
    assert fingerprint(tmp_path / "flags" / "checkpoint-2") == whole
    train(tmp_path / "bare", resume=True)
    assert fingerprint(tmp_path / "bare" / "checkpoint-2") == whole
    assert "fine-tuned from `gone`" in (tmp_path / "bare" / "README.md").read_text()
    # Without the parent, the checkpoint alone tells that there are classes, or no batch normalisation.
    latest = {"resume_from_checkpoint": "latest", "max_train_steps": 3}
    train(tmp_path / "bare", matching_aware=True, **latest)
    with pytest.raises(ValueError, match="`r1_penalty` requires a discriminator that treats images independently"):
        train(tmp_path / "bare", r1_penalty=1.0, **latest)
    with pytest.raises(ValueError, match=f"`{PARENT}=other`: the run of .*checkpoint-2 began with .*gone. Omit it"):
        train(tmp_path / "flags", resume=True, **{PARENT: "other"})
    train(tmp_path / "new", max_train_steps=1)
    with pytest.raises(ValueError, match="`matching_aware=True` has no effect without `class_conditional`"):
        train(tmp_path / "new", matching_aware=True, **latest)
    with pytest.raises(ValueError, match=f"`{PARENT}=.*dcgan-cats`: the run of .* began with new networks"):
        train(tmp_path / "new", resume=True, **{PARENT: parent})


@pytest.mark.parametrize(
    "strategy, norm_type, options",
    [
        ("alternating", "batch", {}),
        ("alternating", "none", {"gradient_penalty": 10.0, "adam_weight_decay": 0.1}),
        ("simultaneous", "batch", {"gradient_accumulation_steps": 2}),
        ("simultaneous", "none", {"r1_penalty": 1.0}),
        ("one_stage", "spectral", {"diagnostics_steps": 1}),
    ],
)
def test_frozen_layers_stay(tmp_path, strategy, norm_type, options):
    pipe = make_pipeline()
    pipe.discriminator = DCGANDiscriminator(
        DCGANDiscriminatorConfig(image_size=16, hidden_size=8, norm_type=norm_type)
    )
    parent = {name: values.clone() for name, values in pipe.discriminator.named_parameters()}
    trainer = train(
        tmp_path / "child",
        pipeline=pipe,
        freeze_discriminator_layers=1,
        update_strategy=strategy,
        discriminator_config={"norm_type": norm_type},
        **options,
    )
    for name, values in trainer.pipeline.discriminator.named_parameters():
        assert torch.equal(values, parent[name]) == name.startswith("layers.0."), name
    state = torch.load(tmp_path / "child" / "checkpoint-2" / "optimizer_1.bin", weights_only=True)
    assert len(state["state"]) == len(parent) - sum(name.startswith("layers.0.") for name in parent)


def test_frozen_layers_stay_on_two_processes(tmp_path, parent):
    flags = [f"--{name}={value}" for name, value in RUN.items()] + [f"--{PARENT}={parent}"]
    flags += ["--dataset_name=digits", "--freeze_discriminator_layers=2", f"--output_dir={tmp_path}"]
    run_elsewhere("train", *flags, processes=2)
    before, after = (load_file(path / "discriminator" / "model.safetensors") for path in (parent, tmp_path))
    frozen = [name for name in before if name.startswith("layers.") and "running" not in name and "num_" not in name]
    assert len(frozen) == 4 and all(torch.equal(after[name], before[name]) for name in frozen)
    assert not torch.equal(after["head.weight"], before["head.weight"])


def test_classes_and_channels_of_the_data(tmp_path, parent):
    """A parent without classes, for RGB, goes on with two classes of grey images; then with others."""
    child = train(
        tmp_path / "child", pipeline=DCGANPipeline.from_pretrained(parent), class_conditional=True, num_channels=1
    )
    config = child.pipeline.generator.config
    assert config.id2label == {0: "a", 1: "b"} and config.num_channels == 1
    assert child.pipeline(class_labels=["a", "b"]).images[0].mode == "L"
    names = ["b", "c"]
    grandchild = train(tmp_path / "grandchild", class_names=names, **{PARENT: tmp_path / "child"}, learning_rate=1e-30)
    pipe = DCGANPipeline.from_pretrained(tmp_path / "child")
    assert grandchild.args.class_conditional and grandchild.pipeline.generator.config.id2label == {0: "b", 1: "c"}
    rows = pipe.generator.stem.class_embedding.weight
    expected = torch.stack([rows[1], rows.mean(0)])
    torch.testing.assert_close(grandchild.pipeline.generator.stem.class_embedding.weight, expected)
    with pytest.raises(ValueError, match="`class_conditional=False`: the parent draws images of 2 classes"):
        train(tmp_path / "third", pipeline=pipe, class_conditional=False)


def test_attributes_of_a_parent(tmp_path):
    """A parent with attributes says which columns to read, and follows the data's values and their distribution."""
    sizes = ["small", "large", "small", None]
    dataset = pictures().add_column("size", [sizes[i % 4] for i in range(40)])
    train(tmp_path / "parent", dataset, class_conditional=True, label_column=["kind", "size"])
    larger = dataset.remove_columns("size").add_column("size", [["large", "huge"][i % 2] for i in range(40)])
    child = train(tmp_path / "child", larger, **{PARENT: tmp_path / "parent"}, learning_rate=1e-30)
    assert child.args.label_column == ["kind", "size"]
    config = child.pipeline.generator.config
    assert config.attributes == {"kind": ["a", "b"], "size": ["huge", "large"]}
    assert config.combination_counts == {"0 1": 20, "1 0": 20}
    resumed = train(tmp_path / "child", larger, resume=True, max_train_steps=3, learning_rate=1e-30)
    assert resumed.args.label_column == ["kind", "size"]
    rows = DCGANPipeline.from_pretrained(tmp_path / "parent").generator.stem.class_embedding.weight  # a b large small
    expected = torch.stack([rows[0], rows[1], rows[2:].mean(0), rows[2]])
    torch.testing.assert_close(child.pipeline.generator.stem.class_embedding.weight, expected)
    message = "`label_column`: the parent has the attributes kind, size, the images have the classes a, b"
    with pytest.raises(ValueError, match=message):
        train(tmp_path / "third", larger, label_column="kind", **{PARENT: tmp_path / "parent"})


def test_a_missing_discriminator_is_made(tmp_path, caplog):
    caplog.set_level("INFO")
    pipe = DCGANPipeline(make_pipeline().generator)
    trainer = train(tmp_path, pipeline=pipe, discriminator_config=SPECTRAL, max_train_steps=1)
    assert trainer.pipeline.discriminator.config.norm_type == "spectral"
    assert "Fine-tuning an in-memory pipeline. It has no discriminator: a new one is made." in caplog.text


def test_from_one_repository_to_another(tmp_path, hub, token, parent):
    DCGANPipeline.from_pretrained(parent).push_to_hub("org/cats")
    flags = [f"--{name}={value}" for name, value in RUN.items()] + ["--max_train_steps=1"]
    flags += [f"--{PARENT}=org/cats", "--push_to_hub", "--hub_model_id=org/dogs", "--train_batch_size=2"]
    (tmp_path / "photos").mkdir()
    for i in range(6):
        PIL.Image.new("RGB", (16, 16), (40 * i, 0, 0)).save(tmp_path / "photos" / f"{i}.png")
    flags += [f"--dataset_name={tmp_path / 'photos'}", f"--output_dir={tmp_path / 'run'}"]
    run_command("train", *flags)
    card = ModelCard.load("org/dogs")
    assert card.data.base_model == "org/cats" and card.data["base_model_relation"] == "finetune"
    assert "fine-tuned from [org/cats](https://huggingface.co/org/cats)" in card.text
    assert f"{PARENT}: org/cats\n" in card.text and "dataset_name: photos" in card.text
    child = DCGANPipeline.from_pretrained("org/dogs")
    # The name of a loaded pipeline tells where it comes from.
    grandchild = train(tmp_path / "again", pipeline=child, max_train_steps=1)
    assert ModelCard.load(tmp_path / "again" / "README.md").data.base_model == "org/dogs"
    assert grandchild.push_to_hub and "tmp" not in ModelCard.load("org/dogs").content


WRONG = [
    ({PARENT: "nothing"}, f"`{PARENT}=nothing`: .*neither a local folder nor"),
    ({PARENT: "large"}, f"`{PARENT}=large` is a DCGANSuperResolutionPipeline .* not a DCGANPipeline"),
    ({PARENT: "classifier"}, f"`{PARENT}=classifier`: .*contains no saved pipeline: model_index.json is missing"),
    ({PARENT: "pickled"}, f"`{PARENT}=pickled`: .*pytorch_model.bin is a pickle, which could run code"),
    (
        {PARENT: "good", "resolution": 64},
        "`resolution=64`: the parent's generator has 16; another size needs",
    ),
    ({PARENT: "good", "latent_dim": 100}, "`latent_dim=100`: the parent's generator has 8. Omit it"),
    ({PARENT: "good", "hidden_size": 64}, "`hidden_size=64`: the parent's generator has 8. Omit it"),
    ({PARENT: "good", "num_channels": 4}, "`num_channels=4`: the parent has 3. Only grey and RGB"),
    (
        {PARENT: "good", "generator_config": {"norm_type": "none"}},
        r"""`generator_config=\{"norm_type": "none"\}`: the parent's generator has \{"norm_type": "batch"\}. Omit it""",
    ),
    (
        {PARENT: "good", "discriminator_config": SPECTRAL},
        r"`discriminator_config=\{.*\}`: the parent's discriminator has",
    ),
    ({PARENT: "good", "generator_config": {"norm": "none"}}, "`generator_config` sets 'norm', which is not a field"),
    ({PARENT: "good", "freeze_discriminator_layers": 3}, "`freeze_discriminator_layers=3`: .* has 2 convolutions"),
    ({PARENT: "good", "r1_penalty": 1.0}, "`r1_penalty` requires a discriminator that treats images independently"),
    ({"freeze_discriminator_layers": 1}, f"`freeze_discriminator_layers=1` needs a trained .* pass `{PARENT}`"),
    ({"revision": "main"}, f"`revision=main` has no effect without `{PARENT}`"),
]


@pytest.mark.parametrize("options, message", WRONG)
def test_wrong_use(tmp_path, monkeypatch, parent, hub, options, message):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(parent, "good")
    shutil.copytree(parent, "pickled")
    (tmp_path / "pickled" / "generator" / "model.safetensors").rename("pickled/generator/pytorch_model.bin")
    DCGANSuperResolutionPipeline(make_generator()).save_pretrained("large")
    DCGANForImageClassification(DCGANDiscriminatorConfig(image_size=16, num_labels=2)).save_pretrained("classifier")
    with pytest.raises(ValueError, match=message):
        train("run", **options)
    assert not (tmp_path / "run").exists()


def test_wrong_use_in_python(tmp_path, parent):
    with pytest.raises(ValueError, match="`output_dir=.*dcgan-cats` is the folder of the parent, which would be lost"):
        train(parent, **{PARENT: f"{parent}/"}, overwrite_output_dir=True)
    pipe = DCGANPipeline.from_pretrained(parent)
    with pytest.raises(ValueError, match="`networks` must be a pair of modules. .*, pass it as `pipeline`"):
        DCGANTrainer(networks=pipe)
    with pytest.raises(ValueError, match="`pipeline` must be a `DCGANPipeline`, got a `DCGANSuperResolutionPipeline`"):
        DCGANTrainer(pipeline=DCGANSuperResolutionPipeline(make_generator()))
    with pytest.raises(ValueError, match="`pipeline` and `networks` both say which networks to train"):
        DCGANTrainer(pipeline=pipe, networks=(pipe.generator, None))
    with pytest.raises(ValueError, match=f"`networks` and `{PARENT}` both say"):
        DCGANTrainer(DCGANTrainingArguments(**{PARENT: str(parent)}), networks=(pipe.generator, None))
    with pytest.raises(TypeError, match="takes no argument 'network'. Did you mean 'networks'?"):
        DCGANTrainer(network=(pipe.generator, None))

    class OtherGenerator(DCGANGenerator):
        pass

    other = DCGANPipeline(OtherGenerator(pipe.generator.config), pipe.discriminator)
    with pytest.raises(ValueError, match="is a `OtherGenerator`, not a `DCGANGenerator`. Pass custom networks as"):
        train(tmp_path / "run", pipeline=other)


def test_a_builtin_recipe_is_not_for_trained_networks(tmp_path, parent):
    """The recipe of the digits would ask for 32 pixels."""
    flags = [f"--{name}={value}" for name, value in RUN.items()]
    run_command("train", *flags, "--dataset_name=digits", f"--{PARENT}={parent}", f"--output_dir={tmp_path / 'run'}")
    assert DCGANPipeline.from_pretrained(tmp_path / "run").generator.config.image_size == 16
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(f"{PARENT}: {parent}\nfreeze_discriminator_layers: 1\nlatent_dim: 9\n")
    with pytest.raises(ValueError, match="`latent_dim=9`: the parent's generator has 8"):
        run_command("train", *flags, "--config", recipe, f"--output_dir={tmp_path / 'other'}")


def test_super_resolution(tmp_path):
    def train_x2(name, **changes):
        options = RUN | {"adversarial_loss_weight": 0.1} | changes
        args = DCGANSuperResolutionTrainingArguments(output_dir=str(tmp_path / name), **options)
        trainer = DCGANSuperResolutionTrainer(args, pictures(mode="RGB", size=24))
        trainer.train()
        return trainer

    small = {"resolution": 16, "scale_factor": 2, "hidden_size": 8, "generator_config": {"num_blocks": 1}}
    first = train_x2("first", **small).pipeline
    parent = {PARENT: str(tmp_path / "first")}
    second = train_x2("second", **parent, freeze_discriminator_layers=1)
    assert (second.args.scale_factor, second.args.resolution, second.args.hidden_size) == (2, 16, 8)
    assert second.pipeline.generator.config.num_blocks == 1
    for name, values in second.pipeline.discriminator.named_parameters():
        assert torch.equal(values, dict(first.discriminator.named_parameters())[name]) == name.startswith("layers.0.")
    with pytest.raises(ValueError, match="`scale_factor=4`: the parent's generator has 2. Omit it"):
        train_x2("third", **parent, scale_factor=4)
    # Without a discriminator, crops may have any size.
    assert train_x2("fourth", **parent, adversarial_loss_weight=0.0, resolution=20).pipeline.discriminator is None


def test_a_short_run_forgets_the_parent(tmp_path, parent):
    """The average that is saved is that of the child, even if its half-life exceeds the run."""
    trained = {}

    class End(TrainerCallback):
        def on_train_end(self, args, state, control, trainer, **kwargs):
            trained.update(trainer.engine.generator.state_dict())

    child = train(tmp_path / "child", **{PARENT: parent}, max_train_steps=6, learning_rate=1e-3, callbacks=[End()])
    assert child.args.ema_half_life == 20_000
    name = "layers.0.convolution.weight"
    first = DCGANPipeline.from_pretrained(parent).generator.state_dict()[name]
    saved = DCGANPipeline.from_pretrained(tmp_path / "child").generator.state_dict()[name]
    assert (saved - trained[name]).norm() < 0.2 * (first - trained[name]).norm()
