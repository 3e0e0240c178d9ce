"""The classic ConvNet's training step in JAX, compiled as a whole; Adam is optax's.

Words of a variant: fp32 or bf16 (products in bf16, parameters in fp32); nhwc or nchw; window (lax.reduce_window) or
reshape, which pools by the maximum over two axes of a reshaped tensor.
"""

from __future__ import annotations

import os
from typing import Any

import step_timer

given = step_timer.parse()
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:given.threads])  # XLA takes a thread for each it may use

import jax  # noqa: E402  (counts its threads when it is loaded)
import jax.numpy as jnp  # noqa: E402
import optax  # noqa: E402

Tree = dict[str, Any]


def parameters(key: jax.Array) -> tuple[Tree, Tree]:
    """Weights as PyTorch draws them, and batch norm's running statistics."""
    def uniform(key: jax.Array, shape: tuple[int, ...], fan_in: int) -> jax.Array:
        return jax.random.uniform(key, shape, minval=-fan_in**-0.5, maxval=fan_in**-0.5)

    keys = jax.random.split(key, 6)
    weights, statistics = {}, {}
    for block, (channels_in, filters) in enumerate(((1, 16), (16, 32))):
        fan_in = 25 * channels_in
        weights[f"conv{block}"] = {"weight": uniform(keys[2 * block], (5, 5, channels_in, filters), fan_in),
                                   "bias": uniform(keys[2 * block + 1], (filters,), fan_in)}
        weights[f"bn{block}"] = {"weight": jnp.ones(filters), "bias": jnp.zeros(filters)}
        statistics[f"bn{block}"] = {"mean": jnp.zeros(filters), "var": jnp.ones(filters)}
    weights["fc"] = {"weight": uniform(keys[4], (7 * 7 * 32, 10), 7 * 7 * 32),
                     "bias": uniform(keys[5], (10,), 7 * 7 * 32)}
    return weights, statistics


def max_pool(x: jax.Array, nchw: bool, reshape: bool) -> jax.Array:
    """Windows of 2 x 2."""
    rows = 2 if nchw else 1
    if reshape:
        shape = list(x.shape)
        shape[rows:rows + 2] = [shape[rows] // 2, 2, shape[rows + 1] // 2, 2]
        return x.reshape(shape).max((rows + 1, rows + 3))
    window = (1, 1, 2, 2) if nchw else (1, 2, 2, 1)
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, window, window, "VALID")


def forward(weights: Tree, statistics: Tree, x: jax.Array, words: frozenset[str]) -> tuple[jax.Array, Tree]:
    """Logits, and the running statistics of after this batch."""
    nchw = "nchw" in words
    layout = "NCHW" if nchw else "NHWC"
    over, along = ((0, 2, 3), (-1, 1, 1)) if nchw else ((0, 1, 2), (-1,))
    dtype = jnp.bfloat16 if "bf16" in words else jnp.float32
    updated = {}
    for block in range(2):
        conv, norm = weights[f"conv{block}"], weights[f"bn{block}"]
        x = jax.lax.conv_general_dilated(x.astype(dtype), conv["weight"].astype(dtype), (1, 1), "SAME",
                                         dimension_numbers=(layout, "HWIO", layout))
        x = x.astype(jnp.float32) + conv["bias"].reshape(along)
        mean, var = x.mean(over), x.var(over)
        updated[f"bn{block}"] = {"mean": 0.9 * statistics[f"bn{block}"]["mean"] + 0.1 * mean,
                                 "var": 0.9 * statistics[f"bn{block}"]["var"] + 0.1 * var}
        scale = norm["weight"] * jax.lax.rsqrt(var + 1e-5)
        x = x * scale.reshape(along) + (norm["bias"] - mean * scale).reshape(along)
        x = max_pool(jax.nn.relu(x).astype(dtype), nchw, "reshape" in words)
    x = x.reshape(x.shape[0], -1) @ weights["fc"]["weight"].astype(dtype)
    return x.astype(jnp.float32) + weights["fc"]["bias"], updated


def make_step(job: step_timer.Job, words: frozenset[str]) -> step_timer.Step:
    keys = jax.random.split(jax.random.key(1), 3)
    weights, statistics = parameters(keys[0])
    adam = optax.adam(1e-3)
    moments = adam.init(weights)
    shape = (job.batch_size, 1, 28, 28) if "nchw" in words else (job.batch_size, 28, 28, 1)
    images = jax.random.uniform(keys[1], shape)
    labels = jax.random.randint(keys[2], (job.batch_size,), 0, 10)

    def loss_of(weights: Tree, statistics: Tree, images: jax.Array, labels: jax.Array) -> tuple[jax.Array, Tree]:
        logits, updated = forward(weights, statistics, images, words)
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean(), updated

    def train(weights: Tree, statistics: Tree, moments: Any, images: jax.Array, labels: jax.Array) -> tuple[Any, ...]:
        with_gradients = jax.value_and_grad(loss_of, has_aux=True)
        (loss, statistics), gradients = with_gradients(weights, statistics, images, labels)
        change, moments = adam.update(gradients, moments, weights)
        return optax.apply_updates(weights, change), statistics, moments, loss

    compiled = jax.jit(train, donate_argnums=(0, 1, 2))
    state: tuple[Any, ...] = (weights, statistics, moments)

    def step() -> jax.Array:
        nonlocal state
        *now, loss = jax.block_until_ready(compiled(*state, images, labels))
        state = tuple(now)
        return loss

    return step


if __name__ == "__main__":
    step_timer.serve(given, jax.__version__, make_step)
