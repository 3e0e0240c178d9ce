#!/usr/bin/env python3
"""Writes the sound files of corpus/ anew: one small file of each kind that a parser knows. What fuzzers found lies
beside them and is left alone."""

import gzip
import io
import json
import struct
import zipfile
import zlib
from pathlib import Path

from corpus_pictures import write_pictures

CORPUS = Path(__file__).parent / "corpus"


def write(target: str, name: str, content: bytes) -> None:
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)


def packed(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


# IDX


def idx(element_type: int, dimensions: list[int], elements: bytes) -> bytes:
    return struct.pack(">HBB", 0, element_type, len(dimensions)) + struct.pack(f">{len(dimensions)}I", *dimensions) + elements


def idx_pair(labels: bytes, images: bytes, classes: int = 3) -> bytes:
    return struct.pack("<BH", classes - 1, len(labels)) + labels + images


def write_idx() -> None:
    labels = idx(8, [2], bytes([2, 0]))
    images = idx(8, [2, 2, 3], bytes(range(12)))
    write("idx", "bytes", idx_pair(labels, images))
    write("idx", "gzip", idx_pair(packed(labels), packed(images)))
    write("idx", "channels", idx_pair(labels, idx(8, [2, 3, 1, 2], bytes(range(12)))))
    write("idx", "columns", idx_pair(idx(12, [2, 3], struct.pack(">6i", 1, 9, 9, 2, 9, 9)), images))
    write("idx", "shorts", idx_pair(idx(11, [1], struct.pack(">h", 1)), idx(11, [1, 1, 2], struct.pack(">2h", 0, 255))))
    write("idx", "signed", idx_pair(idx(9, [1], b"\x01"), idx(9, [1, 1, 2], b"\x00\x7f")))
    write("idx", "floats", idx_pair(idx(13, [1], struct.pack(">f", 1)), idx(13, [1, 1, 2], struct.pack(">2f", 0.5, 1))))
    write("idx", "doubles", idx_pair(idx(14, [1], struct.pack(">d", 1)), idx(14, [1, 1, 2], struct.pack(">2d", 0, 255))))
    write("idx", "claims-more", idx_pair(labels, idx(8, [2, 30000, 30000], bytes(8))))
    write("idx", "claims-more-gzip", idx_pair(labels, packed(idx(8, [2, 30000, 30000], bytes(8)))))

    write("gzip", "plain", b"plain")
    write("gzip", "one-member", packed(b"compressed"))
    write("gzip", "two-members", packed(b"one") + packed(b"two"))
    write("gzip", "zeros-behind", packed(b"tape") + bytes(10))
    write("gzip", "named", b"\x1f\x8b\x08\x08" + bytes(4) + b"\x00\x03name\x00" + packed(b"named")[10:])
    write("gzip", "bomb", packed(bytes(100000)))
    write("gzip", "truncated", packed(b"truncated")[:-5])

    write("cifar", "one-record", bytes([9]) + bytes(3072))
    write("cifar", "two-records", bytes([1]) + bytes(3072) + bytes([8]) + bytes(3072))
    write("cifar", "label-beyond", bytes([10]) + bytes(3072))
    write("cifar", "not-whole", bytes(100))


# Tables and arrays


def npy(descr: str, shape: str, elements: bytes, version: int = 1) -> bytes:
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", len(header)) + header + elements


def npz(entries: dict[str, bytes], method: int) -> bytes:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", method) as archive:
        for name, content in entries.items():
            archive.writestr(zipfile.ZipInfo(name + ".npy", (1980, 1, 1, 0, 0, 0)), content, method)
    return memory.getvalue()


def write_tables_and_arrays() -> None:
    write("csv", "names", b"label,pixel0,pixel1,pixel2,pixel3\n7,0,255,3,4\n1,5,6,7,8\n")
    write("csv", "no-names", b"7,0\r\n1,5")
    write("csv", "quotes", b'\xef\xbb\xbf"","class","a"\n0,1,"2"\n')
    write("csv", "fractions", b"1,0\n0,0.5\n1,1e-1\n")
    write("csv", "gzip", packed(b"7,0\n1,5\n"))
    write("csv", "ragged", b"1,2\n1,2,3\n")
    write("csv", "columns-gzip", packed(b"1," * 4000))

    arrays = {"x_train": npy("'|u1'", "(2, 1, 2)", b"abcd"), "y_train": npy("'<i8'", "(2,)", struct.pack("<2q", 1, 0)),
              "x_test": npy("'|u1'", "(1, 1, 2)", b"ef"), "y_test": npy("'<f4'", "(1, 1)", struct.pack("<f", 2))}
    write("npy", "bytes", arrays["x_train"])
    write("npy", "longs", arrays["y_train"])
    write("npy", "version-2", npy('">f8"', "(1L,)", struct.pack(">d", 0.5), version=2))
    write("npy", "record", npy("[('a', '<f4')]", "(1,)", bytes(4)))
    write("npy", "claims-more", npy("'|u1'", "(60000, 28, 28)", b"abcd"))
    write("npz", "stored", npz(arrays, zipfile.ZIP_STORED))
    write("npz", "deflated", npz(arrays, zipfile.ZIP_DEFLATED))
    write("npz", "colour", npz(arrays | {"x_train": npy("'|u1'", "(2, 2, 2, 3)", bytes(24)),
                                         "x_test": npy("'|u1'", "(1, 3, 2, 2)", bytes(12))}, zipfile.ZIP_DEFLATED))
    write("npz", "rows", npz(arrays | {"x_train": npy("'|u1'", "(2, 4)", bytes(8)), "x_test": npy("'|u1'", "(1, 4)", bytes(4))},
                             zipfile.ZIP_DEFLATED))
    write("npz", "bomb", npz(arrays | {"x_train": npy("'|u1'", "(2, 100, 100)", bytes(20000))}, zipfile.ZIP_DEFLATED))


# Checkpoints


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def numbers(values: list[int]) -> bytes:
    return b"(" + b"".join(b"J" + struct.pack("<i", value) for value in values) + b"t"


def tensor(storage: str, count: int, shape: list[int], strides: list[int], key: str = "0", parameter: bool = False) -> bytes:
    identity = b"(" + text("storage") + f"ctorch\n{storage}\n".encode() + text(key) + text("cpu") + b"J" + struct.pack("<i", count) + b"tQ"
    ordered = b"ccollections\nOrderedDict\n)R"
    made = b"ctorch._utils\n_rebuild_tensor_v2\n(" + identity + b"K\0" + numbers(shape) + numbers(strides) + b"\x89" + ordered + b"tR"
    return b"ctorch._utils\n_rebuild_parameter\n(" + made + b"\x88" + ordered + b"tR" if parameter else made


def state(entries: dict[str, bytes]) -> bytes:
    """The opcodes that leave an OrderedDict on the stack."""
    return b"ccollections\nOrderedDict\n)Rq\x01(" + b"".join(text(name) + value for name, value in entries.items()) + b"u"


def pickled(opcodes: bytes) -> bytes:
    return b"\x80\x02" + opcodes + b"."


def archive(entries: dict[str, bytes]) -> bytes:
    """A zip archive of stored entries, as torch.save makes one."""
    content, directory = b"", b""
    for name, data in entries.items():
        path = ("archive/" + name).encode()
        common = struct.pack("<HHHHIIIHH", 0, 0, 0, 0x21, zlib.crc32(data), len(data), len(data), len(path), 0)
        directory += b"PK\1\2" + struct.pack("<HH", 0, 0) + common + struct.pack("<HHHII", 0, 0, 0, 0, len(content)) + path
        content += b"PK\3\4" + struct.pack("<H", 0) + common + path + data
    end = struct.pack("<HHHHIIH", 0, 0, len(entries), len(entries), len(directory), len(content), 0)
    return content + directory + b"PK\5\6" + end


def write_checkpoints() -> None:
    floats = struct.pack("<6f", 1, -2, 0.5, float("inf"), float("nan"), 0)
    pickles = {
        "float": (state({"w": tensor("FloatStorage", 6, [2, 3], [3, 1])}), floats),
        "transposed": (state({"w": tensor("FloatStorage", 6, [3, 2], [1, 3])}), floats),
        "shared": (state({"a": tensor("FloatStorage", 6, [6], [1]), "b": tensor("FloatStorage", 6, [2], [2])}), floats),
        "parameter": (state({"w": tensor("FloatStorage", 6, [6], [1], parameter=True)}), floats),
        "double": (state({"w": tensor("DoubleStorage", 3, [3], [1])}), struct.pack("<3d", 1, 0.1, -3)),
        "half": (state({"w": tensor("HalfStorage", 4, [4], [1])}), struct.pack("<4e", 1, 0.1, float("nan"), 6e-8)),
        "bfloat16": (state({"w": tensor("BFloat16Storage", 2, [2], [1])}), b"\x80\x3f\xc0\x7f"),
        "int": (state({"w": tensor("IntStorage", 2, [2], [1])}), struct.pack("<2i", 7, -7)),
        "long": (state({"n": tensor("LongStorage", 1, [], [])}), struct.pack("<q", 1 << 40)),
        "empty": (state({"w": tensor("FloatStorage", 0, [0, 3], [3, 1])}), b""),
        "training": (b"}(" + text("epoch") + b"K\x05" + text("lr") + b"G" + struct.pack(">d", 0.1)
                     + text("model") + state({"w": tensor("FloatStorage", 6, [6], [1])}) + text("big") + b"\x8a\x05\0\0\0\0\1" + b"u", floats),
        "metadata": (state({"w": tensor("FloatStorage", 6, [6], [1])}) + b"}" + text("_metadata") + b"}sb", floats),
        "module": (b"c__main__\nNet\n)\x81}" + text("training") + b"\x88sb", b""),
        "expanded": (state({"w": tensor("FloatStorage", 1, [1000, 1000], [0, 0])}), bytes(4)),
    }
    for name, (opcodes, storage) in pickles.items():
        content = pickled(opcodes)
        write("pickle", name, struct.pack("<H", len(content)) + content + storage)
        write("checkpoint", name, archive({"data.pkl": content, "byteorder": b"little", "data/0": storage, "version": b"3\n"}))
    write("checkpoint", "bare-pickle", pickled(b"}"))
    write("checkpoint", "safetensors", struct.pack("<Q", 2) + b"{}")
    write("checkpoint", "legacy", legacy(state({"w": legacy_tensor("FloatStorage", 6, [2, 3], [3, 1])}), {"0": floats}))
    write("checkpoint", "torchscript", archive({"constants.pkl": pickled(b")"), "code/x.py": b""}))


def legacy_tensor(storage: str, count: int, shape: list[int], strides: list[int]) -> bytes:
    """A tensor as files of before PyTorch 1.6 have it: None is behind the number of elements."""
    return tensor(storage, count, shape, strides).replace(b"tQ", b"NtQ")


def legacy(opcodes: bytes, storages: dict[str, bytes]) -> bytes:
    """Five pickles, and the storages of four bytes an element."""
    system = pickled(b"}(" + text("little_endian") + b"\x88u")
    keys = pickled(b"](" + b"".join(text(key) for key in storages) + b"e")
    start = pickled(bytes.fromhex("8a0a6cfc9c46f9206aa85019")) + pickled(b"M\xe9\x03") + system
    return start + pickled(opcodes) + keys + b"".join(struct.pack("<Q", len(data) // 4) + data for data in storages.values())


def safetensors(header: dict | bytes, data: bytes = b"") -> bytes:
    content = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(content)) + content + data


def described(kind: str, shape: list[int], begin: int, end: int) -> dict:
    return {"dtype": kind, "shape": shape, "data_offsets": [begin, end]}


def write_safetensors() -> None:
    two = {"b": described("F32", [2], 8, 16), "a": described("I64", [], 0, 8)}
    files = {
        "empty": safetensors({}),
        "two": safetensors(two, struct.pack("<qff", 7, 1, float("nan"))),
        "metadata": safetensors({"__metadata__": {"format": "pt", "": "\u20ac"}, "a": described("BF16", [1], 0, 2)}, b"\x80\x3f"),
        "half": safetensors({"a": described("F16", [1, 2], 0, 4)}, struct.pack("<2e", 1, 0.1)),
        "double": safetensors({"a": described("F64", [1], 0, 8)}, struct.pack("<d", 0.1)),
        "int": safetensors({"a": described("I32", [1], 0, 4)}, struct.pack("<i", -7)),
        "no-elements": safetensors({"a": described("F32", [0, 3], 0, 0)}),
        "bytes": safetensors({"a": described("U8", [2], 0, 2)}, b"ab"),
        "hole": safetensors({"a": described("F32", [1], 4, 8)}, bytes(8)),
        "overlap": safetensors({"a": described("F32", [1], 0, 4), "b": described("F32", [1], 2, 6)}, bytes(6)),
        "key-twice": safetensors(b'{"a":1,"a":2}'),
        "zero-byte": safetensors(b"{}\0{"),
        "no-metadata": safetensors({"__metadata__": None, "a": described("F8_E4M3FNUZ", [1], 0, 1)}, b"a"),
        "large-size": safetensors({"a": described("F32", [(1 << 63) - 1, 0], 0, 0)}),
        "large-int": safetensors({"a": described("I64", [1], 0, 8)}, struct.pack("<q", 1 << 60)),
    }
    for name, content in files.items():
        write("safetensors", name, content)
    floats = struct.pack("<6f", 1, -2, 0.5, float("inf"), float("nan"), 0)
    training = dictionary({"epoch": b"K\x05", "lr": b"G" + struct.pack(">d", 0.1), "betas": b"K\1K\2\x86", "model": state(
        {"w": tensor("FloatStorage", 6, [6], [1])}), "rng": tensor("ByteStorage", 6, [6], [1]), "net": b"c__main__\nNet\n)\x81"})
    write("contents", "training", archive({"data.pkl": pickled(training), "data/0": floats, "version": b"3\n"}))
    write("contents", "legacy", legacy(dictionary({"x": b"](" + legacy_tensor("FloatStorage", 6, [6], [1]) + b"e"}), {"0": floats}))
    write("contents", "cycle", archive({"data.pkl": pickled(b"}q\1" + text("a") + b"h\1s"), "version": b"3\n"}))
    write("contents", "two", files["two"])
    write("contents", "bytes", files["bytes"])
    write("contents", "large-int", files["large-int"])
    again = dictionary({"outer": dictionary({"n": b"](K\1K\2\x86K\3\x85e", "inner": state({"w": tensor("FloatStorage", 6, [6], [1])}) + b"q\1"}),
                        "model": b"h\1"})
    write("contents", "again", archive({"data.pkl": pickled(again), "data/0": floats, "version": b"3\n"}))


def dictionary(entries: dict[str, bytes]) -> bytes:
    return b"}(" + b"".join(text(name) + value for name, value in entries.items()) + b"u"


def write_trainings() -> None:
    floats = struct.pack("<6f", 1, -2, 0.5, 0, 3, -4)
    weight = tensor("FloatStorage", 6, [2, 3], [3, 1])
    real = b"G" + struct.pack(">d", 0.25)
    moments = b"}(K\0" + dictionary({"step": tensor("FloatStorage", 6, [], []), "exp_avg": weight, "exp_avg_sq": weight}) + b"u"
    rest = {"format": b"K\1", "epoch": b"K\2", "step": b"K\3", "settled": b"\x89", "counter": b"M\x34\x12",
            "total_steps": b"K\x28", "parameters": b"](" + text("w") + b"e", "average_count": b"K\1", "average": state({"w": weight}),
            "last_loss": real, "loss_sum": real, "correct": b"K\7", "samples": b"K\x09", "notes": text("{}")}

    def whole(model: bytes, states: bytes, convoy: dict[str, bytes]) -> bytes:
        content = pickled(dictionary({"model": model, "optimizer": dictionary({"state": states, "param_groups": b"]"}),
                                      "convoy": dictionary(convoy)}))
        return struct.pack("<H", len(content)) + content + floats

    write("training", "adam", whole(state({"w": weight}), moments, rest))
    write("training", "plain-sgd", whole(state({"w": weight}), b"}", {**rest, "average_count": b"K\0", "average": state({})}))
    write("training", "newer", whole(state({"w": weight}), b"}", {**rest, "format": b"K\2"}))
    write("training", "no-notes", whole(state({"w": weight}), b"}", {k: v for k, v in rest.items() if k != "notes"}))
    write("training", "negative-counter", whole(state({"w": weight}), b"}", {**rest, "counter": b"J\xff\xff\xff\xff"}))
    write("training", "no-parameter", whole(state({}), b"}", {**rest, "parameters": b"]"}))
    write("training", "a-state-dict", struct.pack("<H", len(pickled(state({"w": weight})))) + pickled(state({"w": weight})) + floats)


# JSON


def write_json() -> None:
    preparation = {"dataset": "mnist", "mean": [0.1307], "std": [0.3081], "framing": "mnist", "background": "dark",
                   "transposed": False, "left_transposed": False}
    conv = {"name": "conv", "type": "Conv2d", "in_channels": 1, "out_channels": 4, "kernel_size": [3, 3], "padding": 1, "stride": 2, "bias": False}
    layers = [
        conv,
        {"name": "bn", "type": "BatchNorm2d", "num_features": 4, "eps": 1e-5, "momentum": 0.1},
        {"name": "act", "type": "ReLU", "inplace": True},
        {"name": "res", "type": "Residual", "body": [{"name": "c", "type": "Conv2d", "in_channels": 4, "out_channels": 4, "kernel_size": 1}],
         "shortcut": []},
        {"name": "gn", "type": "GroupNorm", "num_groups": 2, "num_channels": 4},
        {"name": "pool", "type": "MaxPool2d", "kernel_size": 2},
        {"name": "avg", "type": "AvgPool2d", "kernel_size": 2},
        {"name": "gap", "type": "GlobalAvgPool2d"},
        {"name": "drop", "type": "Dropout", "p": 0.5},
        {"name": "flat", "type": "Flatten"},
        {"name": "fc", "type": "Linear", "in_features": 4, "out_features": 10},
    ]
    for name, model in {
        "linear": {"name": "m", "input": [1, 2, 2], "layers": [{"name": "f", "type": "Flatten"}, {"name": "l", "type": "Linear", "in_features": 4, "out_features": 2}]},
        "all-layers": {"name": "m", "input": [1, 8, 8], "layers": layers},
        "prepared": {"name": "m", "input": [1, 2, 2], "preparation": preparation, "layers": [{"name": "f", "type": "Flatten"}]},
        "misspelt": {"name": "m", "input": [1, 8, 8], "layers": [{"name": "a", "type": "Conv2D"}, conv | {"paddings": 1}]},
    }.items():
        write("model_json", name, json.dumps(model).encode())
    write("model_json", "key-twice", b'{"name": "a", "name": "b"}')
    write("model_json", "huge-numbers", b'{"name": "m", "input": [1, 9223372036854775807, 1e400], "layers": []}')
    write("model_json", "nested", b"[" * 100)

    record = {"event": "run", "dataset": "mnist", "model": "convnet", "limit_train": 0, "preparation": preparation}
    write("run_record", "run", json.dumps(record).encode())
    write("run_record", "no-preparation", b'{"dataset": "cifar10"}')
    write("run_record", "three-channels", json.dumps(record | {"preparation": {"mean": [0.1, 0.2, 0.3], "std": 0.5, "background": "mixed"}}).encode())
    write("run_record", "no-object", b"[1, 2]")
    # nlohmann's copies recurse: without a limit to nesting the stack overflows.
    write("run_record", "nested-mean", b'{"dataset": "d", "preparation": {"mean": ' + b"[" * 3000 + b"]" * 3000 + b"}}")

    place = {"epoch": 1, "epochs": 2, "step": 2, "steps": 4}
    events = [
        {"event": "run", "dataset": "mnist"},
        {"event": "step", **place, "loss": 2.25, "accuracy": 0.25, "learning_rate": 0.001},
        {"event": "profile", "ms_per_step_median": 3.5, "layers": [{"name": "fc", "type": "Linear", "forward_ms": 1.5, "backward_ms": 2.0}]},
        {"event": "epoch", **place, "loss": 1.5, "accuracy": 0.5, "learning_rate": 0.001},
        {"event": "validation", **place, "loss": 1.5, "accuracy": 0.5},
        {"event": "test", **place, "loss": 1.5, "accuracy": 0.5},
        {"event": "eval", "loss": 0.5, "accuracy": 0.75},
    ]
    log = "".join(json.dumps(event) + "\n" for event in events).encode()
    write("run_log", "run", log)
    write("run_log", "cut-off", log[:-20])
    write("run_log", "no-places", b'{"event":"step","epoch":1e308,"step":0,"steps":0,"loss":null}\n{"event":"epoch","epoch":[]}\n')
    write("run_log", "no-layers", b'{"event":"profile","layers":{"a":1}}\n{"event":"profile","layers":[1,{"forward_ms":-1}]}\n')


if __name__ == "__main__":
    write_idx()
    write_tables_and_arrays()
    write_checkpoints()
    write_trainings()
    write_safetensors()
    write_json()
    write_pictures(write)
