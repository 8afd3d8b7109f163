import torch
from accelerate import Accelerator

from dcgan_hf import DCGANGenerator, DCGANGeneratorConfig
from dcgan_hf.training.ema import GeneratorEMA


def make_generator(norm_type="batch"):
    return DCGANGenerator(DCGANGeneratorConfig(image_size=16, hidden_size=4, norm_type=norm_type))


def change(generator):
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.add_(torch.randn_like(parameter))
    generator.train()(torch.randn(8, 100))


def test_average_over_many_updates():
    generator = make_generator()
    ema = GeneratorEMA(generator, half_life=100)
    expected = {name: tensor.double().clone() for name, tensor in generator.state_dict().items()}
    for num_images in (10, 50, 100):
        change(generator)
        ema.update(generator, num_images, num_images_seen=2000)
        decay = 0.5 ** (num_images / 100)
        for name, tensor in generator.state_dict().items():
            expected[name] = decay * expected[name] + (1 - decay) * tensor.double()
    for name, tensor in ema.generator.state_dict().items():
        if name.endswith("num_batches_tracked"):
            assert tensor == generator.state_dict()[name] == 3
        else:
            torch.testing.assert_close(tensor.double(), expected[name], rtol=1e-5, atol=1e-6)


def test_half_life_counts_images_not_steps():
    start = make_generator()
    target = make_generator()
    change(target)
    averages = []
    for steps, num_images in ((1, 64), (8, 8), (64, 1)):
        ema = GeneratorEMA(start, half_life=50)
        for _ in range(steps):
            ema.update(target, num_images, num_images_seen=1000)
        averages.append(torch.cat([parameter.flatten() for parameter in ema.generator.parameters()]))
    torch.testing.assert_close(averages[0], averages[1], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(averages[0], averages[2], rtol=1e-4, atol=1e-6)


def test_in_the_beginning_the_half_life_is_a_twentieth_of_the_images():
    start, target = make_generator(), make_generator()
    change(target)
    averages = []
    for half_life, num_images_seen in ((1_000_000, 400), (20, 1_000_000)):
        ema = GeneratorEMA(start, half_life)
        ema.update(target, 10, num_images_seen)
        averages.append(torch.cat([parameter.flatten() for parameter in ema.generator.parameters()]))
    torch.testing.assert_close(*averages)


def test_spectral_norm_vectors_stay_unit_vectors():
    generator = make_generator("spectral")
    ema = GeneratorEMA(generator, half_life=10)
    for _ in range(5):
        change(generator)
        ema.update(generator, 3, 1000)
    vectors = [tensor for name, tensor in ema.generator.state_dict().items() if name.endswith(("_u", "_v"))]
    assert vectors
    for vector in vectors:
        torch.testing.assert_close(vector.norm(), torch.tensor(1.0))


def test_the_average_samples_but_does_not_train():
    generator = make_generator().train()
    ema = GeneratorEMA(generator, half_life=10)
    assert not ema.generator.training and generator.training
    ema.update(generator, 5, 1000)
    # Once saved, or handed out in a pipeline, it can be trained further.
    parameters = list(ema.generator.parameters())
    assert all(values.requires_grad and values.is_leaf and values.grad is None for values in parameters)


def test_checkpoints_hold_the_average_without_a_pickle(tmp_path):
    generator = make_generator()
    averages = [GeneratorEMA(generator, half_life=10), GeneratorEMA(make_generator(), half_life=10)]
    change(generator)
    averages[0].update(generator, 5, 1000)
    accelerators = [Accelerator(cpu=True) for _ in averages]
    for accelerator, average in zip(accelerators, averages):
        average.register_for_checkpointing(accelerator)
    accelerators[0].save_state(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"ema.safetensors", "random_states_0.pkl"}
    accelerators[1].load_state(tmp_path)
    saved, loaded = (average.generator.state_dict() for average in averages)
    assert all(torch.equal(saved[name], loaded[name]) for name in saved)
