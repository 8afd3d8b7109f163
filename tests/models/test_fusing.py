import copy

import pytest
import torch
from torch import nn

from dcgan_hf import DCGANGenerator, DCGANGeneratorConfig, DCGANPipeline


CONFIGS = {
    "paper": {},
    "biases": {"use_bias": True},
    "classes": {"num_classes": 3},
    "spectral": {"norm_type": "spectral"},
    "group": {"norm_type": "group", "num_groups": 4},
    "none": {"norm_type": "none", "use_bias": True},
    "no norm in the stem": {"stem_norm": False},
    "hidden layers in the stem": {"stem_hidden_sizes": [12], "norm_type": "spectral"},
    "article": {"image_size": 18, "strides": [3, 1], "kernel_size": 5, "hidden_sizes": [8, 8], "use_bias": True},
}


def trained(**config):
    """Returns a generator whose weights and statistics differ from the initial ones."""
    torch.manual_seed(0)
    generator = DCGANGenerator(DCGANGeneratorConfig(**{"image_size": 16, "hidden_size": 8, "latent_dim": 6} | config))
    for parameter in generator.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    for _ in range(3):
        generator.train()(*inputs(generator))
    return generator.eval()


def inputs(generator):
    labels = torch.arange(5) % generator.config.num_classes if generator.config.num_classes else None
    return torch.randn(5, 6, generator=torch.Generator().manual_seed(1)).to(generator.dtype), labels


@torch.no_grad()
def images(generator):
    return generator(*inputs(generator)).pixel_values


@pytest.mark.parametrize("name", CONFIGS)
def test_a_fused_generator_makes_the_same_images_and_can_be_unfused(name):
    generator = trained(**CONFIGS[name])
    expected, weights = images(generator), copy.deepcopy(generator.state_dict())
    generator.fuse()
    torch.testing.assert_close(images(generator), expected, rtol=1e-4, atol=1e-5)
    kinds = {type(module) for module in generator.modules()}
    assert nn.BatchNorm2d not in kinds and not any("Parametri" in kind.__name__ for kind in kinds)
    generator.fuse()  # a second call has no effect
    generator.unfuse()
    assert torch.equal(images(generator), expected)
    assert weights.keys() == generator.state_dict().keys()
    assert all(torch.equal(weights[key], value) for key, value in generator.state_dict().items())
    generator.train()(*inputs(generator)).pixel_values.sum().backward()


@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-5), (torch.bfloat16, 0.05)])
def test_precisions(dtype, tolerance):
    generator = trained()
    expected = images(generator)
    generator.to(dtype).fuse()
    result = images(generator)
    assert result.dtype == dtype
    torch.testing.assert_close(result.float(), expected, rtol=0, atol=tolerance)


def test_a_fused_generator_is_for_sampling(tmp_path):
    generator = trained()
    with pytest.raises(ValueError, match=r"in training mode cannot be fused"):
        generator.train().fuse()
    pipe = DCGANPipeline(generator=generator.eval())
    expected = pipe(batch_size=2, generator=torch.Generator().manual_seed(0), output_type="pt").images
    generator.fuse()
    result = pipe(batch_size=2, generator=torch.Generator().manual_seed(0), output_type="pt").images
    torch.testing.assert_close(result, expected, rtol=0, atol=1e-5)
    with pytest.raises(ValueError, match=r"cannot be trained. Call `unfuse\(\)` first"):
        generator.train()
    with pytest.raises(ValueError, match=r"cannot be saved. Call `unfuse\(\)` first"):
        pipe.save_pretrained(tmp_path / "model")
    assert not generator.training
    generator.unfuse()
    pipe.save_pretrained(tmp_path / "model")
    assert DCGANPipeline.from_pretrained(tmp_path / "model")().images
