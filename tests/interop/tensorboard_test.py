"""TensorBoard's own reader finds in a run's events what was told of the training.

Usage: tensorboard_test.py CONVOY
"""

import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

from needed import need

need("tensorboard", "numpy")
from made_up import write_digits  # noqa: E402
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # noqa: E402
from tensorboard.compat.proto import graph_pb2  # noqa: E402
from tensorboard.plugins.hparams import metadata  # noqa: E402

EPOCHS, STEPS = 3, 6


def train(convoy: str, folder: Path, *flags: str) -> None:
    subprocess.run([convoy, "train", *flags], check=True, cwd=folder, stdout=subprocess.DEVNULL)


def events_of(run: Path, kind: str) -> list[dict]:
    return [event for event in map(json.loads, (run / "log.jsonl").read_text().splitlines()) if event["event"] == kind]


def close(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=1e-6)  # a float of single precision


def check_scalars(read: EventAccumulator, run: Path) -> None:
    steps, epochs = events_of(run, "step"), events_of(run, "epoch")
    told = read.Scalars("loss/step")
    assert [event.step for event in told] == list(range(1, EPOCHS * STEPS + 1)), told
    assert all(close(event.value, line["loss"]) for event, line in zip(told, steps, strict=True))
    assert all(close(e.value, line["learning_rate"]) for e, line in zip(read.Scalars("learning rate"), steps, strict=True))
    told = read.Scalars("accuracy/epoch")
    assert [event.step for event in told] == [STEPS, 2 * STEPS, 3 * STEPS], told
    assert all(close(event.value, line["accuracy"]) for event, line in zip(told, epochs, strict=True))
    results = json.loads((run / "run.json").read_text())["results"]
    assert close(read.Scalars("accuracy/test")[-1].value, results["accuracy"])
    assert len(read.Scalars("loss/held out")) == EPOCHS


def check_rest(read: EventAccumulator) -> None:
    tags = read.Tags()
    for name, values in {"weights/layer1.0.weight": 16 * 25, "gradients/fc.bias": 10}.items():
        told = read.Histograms(name)
        assert len(told) == EPOCHS and told[-1].histogram_value.num == values, (name, told)
        assert sum(told[-1].histogram_value.bucket) == values
    assert any(tag.startswith("mistakes/00 ") for tag in tags["images"]), tags["images"]
    picture = read.Images("filters/00")[0]
    assert (picture.width, picture.height) == (5, 5) and picture.encoded_image_string[:4] == b"\x89PNG"
    graph = graph_pb2.GraphDef.FromString(read.Graph().SerializeToString())
    nodes = {node.name: node for node in graph.node}
    assert list(nodes["layer1/1"].input) == ["layer1/0"] and nodes["layer1/0"].op == "Conv2d", list(nodes)
    shape = nodes["layer1/0"].attr["_output_shapes"].list.shape[0]
    assert [dimension.size for dimension in shape.dim] == [-1, 16, 28, 28], shape


def check_options(read: EventAccumulator) -> None:
    content = read.SummaryMetadata(metadata.SESSION_START_INFO_TAG).plugin_data.content
    options = metadata.parse_session_start_info_plugin_data(content).hparams
    assert options["epochs"].number_value == EPOCHS and options["swa"].bool_value is False, options
    assert options["dataset"].string_value == "idx"
    content = read.SummaryMetadata(metadata.EXPERIMENT_TAG).plugin_data.content
    experiment = metadata.parse_experiment_plugin_data(content)
    assert [info.name.tag for info in experiment.metric_infos] == ["accuracy/test", "loss/test"]
    assert "lr" in [info.name for info in experiment.hparam_infos]
    end = metadata.parse_session_end_info_plugin_data(read.SummaryMetadata(metadata.SESSION_END_INFO_TAG).plugin_data.content)
    assert end.status == 1, end  # STATUS_SUCCESS


def main() -> None:
    convoy = sys.argv[1]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_digits(folder / "digits")
        common = ["--dataset", "idx", "--data", "digits", "--batch-size", "100", "--log-every", "1", "--tensorboard"]
        train(convoy, folder, *common, "--validation", "1", "--epochs", str(EPOCHS), "--out", "run")
        read = EventAccumulator(str(folder / "run/tensorboard"), size_guidance={"histograms": 0, "images": 0, "tensors": 0})
        read.Reload()
        check_scalars(read, folder / "run")
        check_rest(read)
        check_options(read)
        train(convoy, folder, "--resume", "run", "--epochs", str(EPOCHS + 1), "--allow-changes")
        read.Reload()
        steps = [event.step for event in read.Scalars("loss/step")]
        assert steps == list(range(1, (EPOCHS + 1) * STEPS + 1)), steps
    print(f"TensorBoard reads {sum(len(tags) for tags in read.Tags().values() if isinstance(tags, list))} tags")


main()
