# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
The article's networks and loop in Keras. Run as a command in an environment with Keras and TensorFlow, it reads batch
sizes, one per line, and runs an update for each. It confirms every update with a line.
"""

import os
import sys
from typing import Any


def article_networks() -> tuple[Any, Any]:
    """Returns the article's generator and discriminator, for 36x36 RGB images."""
    import keras
    from keras import layers

    generator = keras.Sequential([keras.Input((100,))])
    for width in (128, 128, 100, 9 * 9 * 256):
        generator.add(layers.Dense(width))
        generator.add(layers.LeakyReLU(0.3))
    generator.add(layers.Reshape((9, 9, 256)))
    for width, stride in ((128, 1), (64, 2)):
        generator.add(layers.Conv2DTranspose(width, 4, stride, padding="same"))
        generator.add(layers.BatchNormalization())
        generator.add(layers.LeakyReLU(0.3))
    generator.add(layers.Conv2DTranspose(3, 4, 2, padding="same", activation="tanh"))
    discriminator = keras.Sequential([keras.Input((36, 36, 3))])
    for width in (64, 128, 256):
        discriminator.add(layers.Conv2D(width, 4, 2, padding="same"))
        discriminator.add(layers.LeakyReLU(0.3))
    discriminator.add(layers.Flatten())
    discriminator.add(layers.Dense(1))
    return generator, discriminator


def main() -> None:
    os.environ |= {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    import keras
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(len(os.sched_getaffinity(0)))
    generator, discriminator = article_networks()
    optimizers = [keras.optimizers.Adam(2e-4, beta_1=0.5) for _ in range(2)]
    cross_entropy = keras.losses.BinaryCrossentropy(from_logits=True)

    @tf.function
    def update(real: tf.Tensor) -> None:
        with tf.GradientTape() as generator_tape, tf.GradientTape() as discriminator_tape:
            fake = generator(tf.random.normal((len(real), 100)), training=True)
            real_logits, fake_logits = discriminator(real, training=True), discriminator(fake, training=True)
            generator_loss = cross_entropy(tf.ones_like(fake_logits), fake_logits)
            discriminator_loss = cross_entropy(tf.ones_like(real_logits), real_logits)
            discriminator_loss += cross_entropy(tf.zeros_like(fake_logits), fake_logits)
        for tape, loss, network, optimizer in (
            (generator_tape, generator_loss, generator, optimizers[0]),
            (discriminator_tape, discriminator_loss, discriminator, optimizers[1]),
        ):
            gradients = tape.gradient(loss, network.trainable_variables)
            optimizer.apply_gradients(zip(gradients, network.trainable_variables))

    batches: dict[int, Any] = {}
    for line in sys.stdin:
        batch_size = int(line)
        if batch_size not in batches:
            batches[batch_size] = tf.random.uniform((batch_size, 36, 36, 3), -1, 1)
        update(batches[batch_size])
        generator.trainable_variables[0].numpy()  # waits for the update
        print("done", flush=True)


if __name__ == "__main__":
    main()
