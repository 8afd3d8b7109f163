"""
Script that test_distributed.py runs in two processes: each updates a GAN with its half of a batch and writes the
weights, beside those of a single process with the whole batch.
"""

import gc
import sys

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook

from dcgan_hf import DCGANDiscriminator, DCGANDiscriminatorConfig, DCGANGenerator, DCGANGeneratorConfig
from dcgan_hf.training.augmentation import NUM_RANDOM_NUMBERS
from dcgan_hf.training.losses import LOSSES, PenaltyWeights
from dcgan_hf.training.updates import GAN, UPDATE_STRATEGIES, Batch


def make_networks(norm_type, attributes):
    torch.manual_seed(0)
    common = {"image_size": 16, "hidden_size": 8, "num_channels": 1, "num_groups": 4, "norm_type": norm_type}
    common |= {"initializer": "xavier_uniform", "attributes": attributes}
    return (
        DCGANGenerator(DCGANGeneratorConfig(**common, latent_dim=6)).train(),
        DCGANDiscriminator(DCGANDiscriminatorConfig(**common)).train(),
    )


def weights(gan):
    networks = (gan.accelerator.unwrap_model(network) for network in (gan.generator, gan.discriminator))
    return torch.cat([parameter.detach().flatten() for network in networks for parameter in network.parameters()])


class PlainAccelerator:
    """Accelerator without distributed training, for the single-process reference."""

    scaler = None
    unwrap_model = staticmethod(lambda model: model)
    backward = staticmethod(lambda loss, **kwargs: loss.backward(**kwargs))


def run(accelerator, name, norm_type, num_micro_batches, penalties, discriminator_steps=1, attributes=None):
    options = {"loss": LOSSES["bce"], "penalties": penalties, "augmentations": ["color", "translation"]}
    options["discriminator_steps"] = discriminator_steps
    networks = make_networks(norm_type, attributes)
    optimizers = [torch.optim.SGD(network.parameters(), lr=0.1) for network in networks]
    gan = GAN(accelerator, *accelerator.prepare(*networks, *optimizers), **options)
    networks = make_networks(norm_type, attributes)
    optimizers = [torch.optim.SGD(network.parameters(), lr=0.1) for network in networks]
    alone = GAN(PlainAccelerator(), *networks, *optimizers, **options)

    reduced = []

    def count_and_reduce(state, bucket):
        reduced.append(bucket.buffer().numel())
        return allreduce_hook(None, bucket)

    for network in (gan.generator, gan.discriminator):
        network.register_comm_hook(None, count_and_reduce)

    start = weights(alone)
    generator = torch.Generator().manual_seed(1)
    own = slice(4 * accelerator.process_index, 4 * accelerator.process_index + 4)
    for _ in range(3):
        pixel_values = torch.rand(num_micro_batches, 8, 1, 16, 16, generator=generator) * 2 - 1
        latents = torch.randn(num_micro_batches, 8, 6, generator=generator)
        labels = None
        if attributes is not None:
            sizes = torch.tensor([len(values) + 1 for values in attributes.values()])
            numbers = torch.rand(num_micro_batches, 8, len(sizes), generator=generator)
            labels = (numbers * sizes).long() - 1  # -1 is missing
        augmentation = torch.rand(num_micro_batches, 2, 8, NUM_RANDOM_NUMBERS, generator=generator)
        shares = torch.rand(num_micro_batches, 8, generator=generator)
        batches = [
            Batch(
                pixel_values[i, own],
                latents[i, own],
                None if labels is None else labels[i, own],
                augmentation[i][:, own],
                shares[i, own],
                None if labels is None else labels.roll(1, 1)[i, own],
            )
            for i in range(num_micro_batches)
        ]
        UPDATE_STRATEGIES[name](gan, batches)
        together = [
            Batch(
                pixel_values[part].flatten(0, 1),
                latents[part].flatten(0, 1),
                None if labels is None else labels[part].flatten(0, 1),
                augmentation[part].transpose(0, 1).flatten(1, 2),
                shares[part].flatten(0, 1),
                None if labels is None else labels.roll(1, 1)[part].flatten(0, 1),
            )
            for part in torch.arange(num_micro_batches).chunk(discriminator_steps)
        ]
        UPDATE_STRATEGIES[name](alone, together)

    num_weights = [sum(parameter.numel() for parameter in network.parameters()) for network in networks]
    expected = 3 * (num_weights[0] + discriminator_steps * num_weights[1])
    assert sum(reduced) == expected, f"{name}: {sum(reduced)} gradients were exchanged, not {expected}"
    everyone = accelerator.gather(weights(gan)[None])
    assert torch.equal(everyone[0], everyone[1]), f"{name} {norm_type}: weights differ between processes"
    if norm_type != "batch":
        difference = (weights(gan) - weights(alone)).abs().max() / (weights(alone) - start).abs().max()
        assert difference < 1e-3, f"{name} {norm_type}: two processes differ from one by {difference}"


def main():
    accelerator = Accelerator(cpu=True, kwargs_handlers=[DistributedDataParallelKwargs(broadcast_buffers=False)])
    assert accelerator.num_processes == 2
    for name in UPDATE_STRATEGIES:
        for norm_type in ("group", "none") if name == "one_stage" else ("batch", "group", "none"):
            for num_micro_batches in (1, 3):
                run(accelerator, name, norm_type, num_micro_batches, PenaltyWeights())
                accelerator.free_memory()
                gc.collect()
    for name in ("alternating", "simultaneous"):
        for penalties in (PenaltyWeights(r1=1.0, r2=1.0), PenaltyWeights(interpolated=10.0)):
            run(accelerator, name, "none", 2, penalties)
            accelerator.free_memory()
            gc.collect()
    run(accelerator, "alternating", "group", 4, PenaltyWeights(r1=1.0), discriminator_steps=2)
    accelerator.free_memory()
    gc.collect()
    attributes = {"hair": ["red", "grey"], "smile": ["no", "yes"], "age": ["10", "20", "30"]}
    run(accelerator, "alternating", "none", 1, PenaltyWeights(), attributes=attributes)
    accelerator.free_memory()
    gc.collect()
    print(f"rank {accelerator.process_index} done", file=sys.stderr)
    accelerator.end_training()


if __name__ == "__main__":
    main()
