"""The classic ConvNet's training step in NeoML, whose CPU engine has one thread.

Several threads are its DnnDistributed: each has a copy of the network and a share of the batch, over which it alone
normalizes. There is one variant: fp32.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import neoml
import numpy as np
import step_timer


def convnet(engine: Any) -> Any:
    """Layers as in PyTorch's program; Source "labels" takes class numbers."""
    dnn = neoml.Dnn.Dnn(engine)
    layer = neoml.Dnn.Source(dnn, "images")
    labels = neoml.Dnn.Source(dnn, "labels")
    for block, filters in enumerate((16, 32)):
        layer = neoml.Dnn.Conv(layer, filters, (5, 5), padding_size=(2, 2), is_zero_free_term=False,
                               name=f"conv{block}")
        layer = neoml.Dnn.BatchNormalization(layer, channel_based=True, name=f"bn{block}")
        layer = neoml.Dnn.ReLU(layer, name=f"relu{block}")
        layer = neoml.Dnn.MaxPooling(layer, (2, 2), (2, 2), name=f"pool{block}")
    layer = neoml.Dnn.FullyConnected(layer, 10, name="fc")
    neoml.Dnn.CrossEntropyLoss((layer, labels), name="loss")
    dnn.solver = neoml.Dnn.AdaptiveGradient(engine, learning_rate=1e-3, second_moment_decay_rate=0.999, epsilon=1e-8)
    return dnn


def batch(engine: Any, images: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """A part of the batch in blobs of `engine`: batch length, batch width, list, height, width, depth, channels."""
    n = len(labels)
    return {"images": neoml.Blob.asblob(engine, images, (1, n, 1, 28, 28, 1, 1), copy=True),
            "labels": neoml.Blob.asblob(engine, labels, (1, n, 1, 1, 1, 1, 1), copy=True)}


def make_step(job: step_timer.Job, words: frozenset[str]) -> step_timer.Step:
    if words != {"fp32"}:
        raise ValueError("there is fp32 alone")
    random = np.random.default_rng(1)
    images = random.random((job.batch_size, 28, 28), dtype=np.float32)
    labels = random.integers(0, 10, job.batch_size, dtype=np.int32)
    engine = neoml.MathEngine.CpuMathEngine()
    dnn = convnet(engine)
    if job.threads == 1:
        whole = batch(engine, images, labels)

        def step() -> float:
            dnn.learn(whole)
            return dnn.layers["loss"].last_loss

        return step

    copies = neoml.Dnn.DnnDistributed(dnn, type="cpu", count=job.threads)
    shares = np.array_split(np.arange(job.batch_size), job.threads)
    parts: dict[int, dict[str, Any]] = {}

    def part(engine: Any, thread: int) -> tuple[int, dict[str, Any]]:
        if thread not in parts:
            parts[thread] = batch(engine, images[shares[thread]], labels[shares[thread]])
        return len(shares[thread]), parts[thread]

    def distributed_step() -> float:
        copies.learn(part)
        return float(np.mean(copies.last_losses("loss")))

    return distributed_step


if __name__ == "__main__":
    step_timer.serve(step_timer.parse(), version("neoml"), make_step)
