"""The classic ConvNet's training step in Keras on TensorFlow, as one graph.

Words of a variant: fp32 or bf16 (Keras's mixed_bfloat16); graph or xla (jit_compile).
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ["KERAS_BACKEND"] = "tensorflow"

import keras  # noqa: E402  (its variables must be set first)
import step_timer  # noqa: E402
import tensorflow as tf  # noqa: E402


def convnet(policy: str) -> keras.Model:
    """`policy` is a dtype policy; the logits are float32 whatever it is."""
    blocks = []
    for filters in (16, 32):
        blocks += [
            keras.layers.Conv2D(filters, 5, padding="same", dtype=policy),
            keras.layers.BatchNormalization(dtype=policy),
            keras.layers.ReLU(dtype=policy),
            keras.layers.MaxPooling2D(2, dtype=policy),
        ]
    return keras.Sequential([
        keras.Input((28, 28, 1)), *blocks, keras.layers.Flatten(dtype=policy),
        keras.layers.Dense(10, dtype=policy), keras.layers.Activation("linear", dtype="float32")])


def make_step(job: step_timer.Job, words: frozenset[str]) -> step_timer.Step:
    keras.utils.set_random_seed(1)
    model = convnet("mixed_bfloat16" if "bf16" in words else "float32")
    optimizer = keras.optimizers.Adam(1e-3)
    optimizer.build(model.trainable_variables)
    criterion = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    images = tf.random.uniform((job.batch_size, 28, 28, 1))
    labels = tf.random.uniform((job.batch_size,), maxval=10, dtype=tf.int32)

    @tf.function(jit_compile="xla" in words)
    def train() -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = criterion(labels, model(images, training=True))
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    return lambda: train().numpy()  # which waits for the step


if __name__ == "__main__":
    given = step_timer.parse()
    tf.config.threading.set_intra_op_parallelism_threads(given.threads)
    step_timer.serve(given, f"{tf.__version__}, Keras {keras.__version__}", make_step)
