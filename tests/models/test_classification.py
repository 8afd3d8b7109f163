"""Tests of a classifier made from a discriminator, with transformers' Trainer and pipelines."""

import datasets
import pytest
import torch
from transformers import AutoConfig, AutoModel, AutoModelForImageClassification, Trainer, TrainingArguments, pipeline

from dcgan_hf import (
    DCGANDiscriminator,
    DCGANDiscriminatorConfig,
    DCGANForImageClassification,
    DCGANImageProcessor,
)
from dcgan_hf.data.datasets import load_image_dataset


NAMES = {i: f"digit {i}" for i in range(10)}


def config(**fields):
    return DCGANDiscriminatorConfig(**({"image_size": 16, "num_channels": 1, "hidden_size": 8} | fields))


def test_it_begins_with_the_convolutions_of_the_discriminator(tmp_path):
    discriminator = DCGANDiscriminator(config()).eval()
    discriminator.save_pretrained(tmp_path)
    for auto_class in (DCGANForImageClassification, AutoModelForImageClassification):
        classifier, report = auto_class.from_pretrained(tmp_path, id2label=NAMES, output_loading_info=True)
        assert set(report["missing_keys"]) == {"classifier.weight", "classifier.bias"}
        assert not report["unexpected_keys"] and classifier.num_labels == 10
        images = torch.rand(3, 1, 16, 16)
        features = discriminator(images).last_hidden_state.flatten(1)
        output = classifier(images, output_hidden_states=True)
        expected = features @ classifier.classifier.weight.T + classifier.classifier.bias
        torch.testing.assert_close(output.logits, expected)
        assert output.loss is None and len(output.hidden_states) == 2
        assert classifier.from_pretrained(tmp_path, num_labels=3).num_labels == 3


@pytest.mark.parametrize("num_labels", [1, 2, 3])
def test_labels_without_names_are_saved(tmp_path, num_labels):
    classifier = DCGANForImageClassification(config(num_labels=num_labels)).eval()
    classifier.save_pretrained(tmp_path)
    loaded = DCGANForImageClassification.from_pretrained(tmp_path)
    images = torch.rand(2, 1, 16, 16)
    assert torch.equal(loaded(images).logits, classifier(images).logits) and loaded.num_labels == num_labels


def test_loss():
    classifier = DCGANForImageClassification(config(id2label=NAMES)).eval()
    images, labels = torch.rand(4, 1, 16, 16), torch.tensor([0, 9, 3, 3])
    output = classifier(images, labels=labels)
    torch.testing.assert_close(output.loss, torch.nn.functional.cross_entropy(output.logits, labels))
    assert classifier(images, labels, return_dict=False)[0] == output.loss


def test_it_needs_labels():
    with pytest.raises(
        ValueError, match="A classifier needs at least one label, got none. Pass `num_labels` or `id2label`"
    ):
        DCGANForImageClassification(config())


@pytest.mark.parametrize(
    "condition", [{"num_classes": 10}, {"attributes": {"hair": ["red", "grey"], "smile": ["no"]}}]
)
def test_a_conditional_discriminator_becomes_a_classifier_of_other_labels(condition, tmp_path):
    discriminator = DCGANDiscriminator(config(**condition))
    discriminator.save_pretrained(tmp_path / "discriminator")
    names = {0: "cat", 1: "dog"}
    model = DCGANForImageClassification.from_pretrained(tmp_path / "discriminator", id2label=names)
    model.eval().save_pretrained(tmp_path / "classifier")
    loaded = DCGANForImageClassification.from_pretrained(tmp_path / "classifier")
    pixel_values = torch.rand(2, 1, 16, 16)
    assert torch.equal(loaded(pixel_values).logits, model(pixel_values).logits) and loaded.config.id2label == names
    assert discriminator.config.num_classes  # of the discriminator, unchanged


@pytest.mark.parametrize("num_classes", [0, 10])
def test_the_trainer_and_the_pipeline(hub, token, tmp_path, num_classes):
    discriminator = DCGANDiscriminator(config(num_classes=num_classes, id2label=NAMES if num_classes else None))
    discriminator.save_pretrained(tmp_path / "discriminator")
    classifier = DCGANForImageClassification.from_pretrained(tmp_path / "discriminator", id2label=NAMES)
    processor = DCGANImageProcessor(size=16, num_channels=1)
    digits = load_image_dataset("digits", with_labels=True).dataset.cast_column("image", datasets.Image())
    arguments = TrainingArguments(
        str(tmp_path / "classifier"),
        num_train_epochs=3,
        per_device_train_batch_size=32,
        learning_rate=2e-3,
        remove_unused_columns=False,
        report_to="none",
        push_to_hub=True,
        hub_model_id="org/classifier",
        use_cpu=True,
    )
    train_set = digits.select(range(1400)).with_transform(
        lambda examples: processor(examples["image"], return_tensors="pt") | {"labels": examples["label"]}
    )
    trainer = Trainer(classifier, arguments, train_dataset=train_set, processing_class=processor)
    trainer.train()
    trainer.push_to_hub()
    test_set = digits.select(range(1400, 1797))
    for source in (str(tmp_path / "classifier"), "org/classifier"):
        predictions = pipeline("image-classification", source, device="cpu")(test_set["image"][:100], top_k=1)
        right = [best["label"] == NAMES[label] for (best,), label in zip(predictions, test_set["label"])]
        assert sum(right) >= 85, sum(right)
    assert "modeling_dcgan.py" in hub.files("org/classifier")
    assert AutoConfig.from_pretrained("org/classifier").id2label == NAMES
    AutoModel.from_pretrained("org/classifier")  # loads as a discriminator with a new head
