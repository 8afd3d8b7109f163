import json

import pytest
from huggingface_hub.errors import StrictDataclassError
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoConfig

from dcgan_hf import DCGANDiscriminatorConfig, DCGANGeneratorConfig


CONFIGS = [DCGANGeneratorConfig, DCGANDiscriminatorConfig]


@pytest.mark.parametrize("config_class", CONFIGS)
@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"image_size": 50}, "`image_size=50` has no default `strides`"),
        ({"image_size": 8}, "`image_size=8` has no default `strides`"),
        ({"image_size": -64}, "`image_size` must be at least 1, got -64"),
        ({"image_size": 0, "strides": [2]}, "`image_size` must be at least 1, got 0"),
        ({"image_size": "64"}, "'image_size' expected int, got str"),
        ({"num_channels": 2}, r"`num_channels` must be 1 \(grey\), 3 \(RGB\) or 4 \(RGBA\), got 2"),
        ({"hidden_size": -3}, "`hidden_size` must be at least 1, got -3"),
        ({"hidden_size": 0}, "`hidden_size` must be at least 1, got 0"),
        ({"hidden_sizes": [64, 32]}, "`hidden_sizes` must have one value per convolution"),
        ({"strides": []}, "has no default `strides`"),
        ({"strides": [2, 0]}, r"All values of `strides` must be at least 1, got \[2, 0\]"),
        ({"strides": [2, -2]}, r"All values of `strides` must be at least 1, got \[2, -2\]"),
        ({"kernel_size": 1}, "`kernel_size` must be at least the stride, got 1 for stride 2"),
        ({"kernel_size": [4, 4]}, "`kernel_size` must have one value per convolution"),
        ({"kernel_size": 5, "padding": "symmetric"}, "requires `kernel_size` minus stride to be even"),
        ({"padding": "valid"}, "'padding' expected one of"),
        ({"norm_type": "layer"}, "'norm_type' expected one of .*'batch', 'group', 'spectral', 'none'.* got layer"),
        ({"norm_type": "group", "num_groups": 48}, "`num_groups` must divide every normalised width, got 48"),
        ({"norm_type": "group", "num_groups": 0}, "`num_groups` must be at least 1, got 0"),
        ({"norm_eps": -1e-5}, "`norm_eps` must be 0 or a positive number"),
        ({"hidden_act": "gelu"}, "'hidden_act' expected one of"),
        ({"leaky_relu_slope": -0.1}, "`leaky_relu_slope` must be 0 or a positive number, got -0.1"),
        ({"initializer": "zeros"}, "'initializer' expected one of"),
        ({"initializer_range": float("nan")}, "`initializer_range` must be 0 or a positive number, got nan"),
        ({"num_classes": -1}, "`num_classes` must be 0 or a positive number"),
        (
            {"num_classes": 3, "id2label": {0: "cat"}},
            "`id2label` must assign a unique name to each class .*, got {0: 'cat'}",
        ),
        ({"num_classes": 2, "id2label": {0: "cat", 2: "dog"}}, "`id2label` must assign a unique name"),
        ({"num_classes": 2, "id2label": {0: "cat", 1: "cat"}}, "`id2label` must assign a unique name"),
    ],
)
def test_bad_values_raise_at_construction(config_class, arguments, message):
    with pytest.raises(StrictDataclassError, match=message):
        config_class(**arguments)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"latent_dim": 0}, "`latent_dim` must be at least 1, got 0"),
        ({"id2label": {0: "cat", 1: "dog"}}, "`id2label` must assign a unique name .* for `num_classes=0`"),
        ({"latent_dim": 1.5}, "'latent_dim' expected int, got float"),
        ({"stem_hidden_sizes": [128, 0]}, "All values of `stem_hidden_sizes` must be at least 1"),
        ({"image_size": 40, "strides": [3, 2]}, "`image_size` must be a multiple of the product of `strides`"),
    ],
)
def test_bad_generator_values(arguments, message):
    with pytest.raises(StrictDataclassError, match=message):
        DCGANGeneratorConfig(**arguments)


def test_discriminator_strides_that_leave_nothing():
    with pytest.raises(StrictDataclassError, match="are too large for `image_size=4`"):
        DCGANDiscriminatorConfig(image_size=4, strides=[2, 2, 2], padding="symmetric")


@pytest.mark.parametrize(
    "image_size, stem_size", [(16, 4), (28, 7), (32, 4), (36, 9), (48, 6), (64, 4), (96, 6), (128, 4), (256, 4)]
)
def test_default_layers(image_size, stem_size):
    generator = DCGANGeneratorConfig(image_size=image_size)
    discriminator = DCGANDiscriminatorConfig(image_size=image_size)
    assert generator.feature_sizes[0] == discriminator.feature_sizes[-1] == stem_size
    assert generator.hidden_sizes == discriminator.hidden_sizes[::-1]
    assert generator.hidden_sizes[-1] == 64 and generator.hidden_sizes[0] <= 512


def test_explicit_strides():
    config = DCGANGeneratorConfig(image_size=30, strides=[3, 2])
    assert config.feature_sizes == [5, 15, 30]
    assert config.hidden_sizes == [128, 64]


@pytest.mark.parametrize("padding, sizes", [("same", [18, 9, 5]), ("symmetric", [18, 9, 4])])
def test_odd_feature_maps(padding, sizes):
    config = DCGANDiscriminatorConfig(image_size=36, strides=[2, 2, 2], padding=padding)
    assert config.feature_sizes == sizes


@pytest.mark.parametrize("config_class", CONFIGS)
def test_save_and_load(config_class, tmp_path):
    config = config_class(image_size=28, num_channels=1, norm_type="group", num_classes=2, id2label={0: "a", 1: "b"})
    config.save_pretrained(tmp_path)
    assert config_class.from_pretrained(tmp_path).to_dict() == config.to_dict()
    assert isinstance(AutoConfig.from_pretrained(tmp_path), config_class)
    assert json.loads((tmp_path / "config.json").read_text())["model_type"] == config_class.model_type


@pytest.mark.parametrize("config_class", CONFIGS)
def test_class_names(config_class):
    assert config_class().id2label == {}
    assert config_class(num_classes=2).id2label == {0: "LABEL_0", 1: "LABEL_1"}


@given(
    halvings=st.integers(2, 6),
    stem_size=st.integers(4, 15),
    hidden_size=st.integers(1, 64),
)
def test_any_multiple_of_four_works(halvings, stem_size, hidden_size):
    image_size = stem_size * 2**halvings
    generator = DCGANGeneratorConfig(image_size=image_size, hidden_size=hidden_size)
    assert generator.feature_sizes[-1] == image_size
    assert len(generator.hidden_sizes) == len(generator.strides) >= 2
