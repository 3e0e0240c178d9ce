"""The peers: what each is, how it is found or built, and which settings it has."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import subprocess
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from processes import COMPLAINT_LENGTH, CompareError, last_json, output_of

WORKERS = Path(__file__).resolve().parent / "peers"
SYSTEM = Path("/usr")  # where Debian's packages lie
CLASSIC = "fp32+contiguous+default"  # PyTorch as the classic program has it

Environment = dict[str, str]
# libgomp reads its waiting policy when it is loaded, so each policy is a process.
WAITING: tuple[Environment, ...] = ({}, {"OMP_WAIT_POLICY": "passive"}, {"GOMP_SPINCOUNT": "10000"})


def combinations(*words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple("+".join(combination) for combination in product(*words))


@dataclass(frozen=True)
class Peer:
    """A library that trains the classic ConvNet.

    `late` are variants that take long to start, tried in the best environment alone. A peer in Python has `module`, one
    in C++ `headers` under SYSTEM and compiler `flags`; `install` says what brings it.
    """

    key: str
    name: str
    worker: str
    install: str
    variants: tuple[str, ...] = ("fp32",)
    late: tuple[str, ...] = ()
    environments: tuple[Environment, ...] = ({},)
    threaded: bool = True
    module: str = ""
    headers: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()


NATIVE = ("-std=c++17", "-O3", "-march=native", "-fopenmp")
PRECISIONS, LAYOUTS = ("fp32", "bf16"), ("contiguous", "channels_last")
DARKNET = "lib/darknet"
PEERS = (
    Peer("pytorch", "PyTorch", "pytorch_step.py", "pip install torch, or Debian's python3-torch", module="torch",
         variants=combinations(PRECISIONS, LAYOUTS, ("default", "foreach", "fused")),
         late=combinations(PRECISIONS, LAYOUTS, ("fused",), ("compile",)), environments=WAITING),
    Peer("libtorch", "libtorch", "libtorch_step.cpp", "pip install torch, whose package has the headers",
         variants=combinations(PRECISIONS, LAYOUTS, ("default", "fused")), environments=WAITING),
    Peer("tensorflow", "TensorFlow", "tensorflow_step.py", "pip install tensorflow-cpu", module="tensorflow",
         variants=combinations(PRECISIONS, ("graph",)), late=combinations(PRECISIONS, ("xla",)),
         environments=({}, {"TF_NUM_INTEROP_THREADS": "1"})),
    Peer("jax", "JAX", "jax_step.py", "pip install jax optax", module="jax",
         variants=combinations(PRECISIONS, ("nhwc", "nchw"), ("window", "reshape")),
         environments=({}, {"XLA_FLAGS": "--xla_cpu_enable_fast_math=true"},
                       {"XLA_FLAGS": "--xla_cpu_prefer_vector_width=512"})),
    Peer("neoml", "NeoML", "neoml_step.py", 'pip install neoml "numpy<2", which has no package for Python 3.12',
         module="neoml"),
    Peer("dlib", "dlib", "dlib_step.cpp", "Debian's libdlib-dev, libopenblas0-openmp",
         headers=("include/dlib/dnn.h",), flags=(*NATIVE, "-ldlib"), environments=WAITING),
    Peer("tiny-dnn", "tiny-dnn", "tiny_dnn_step.cpp", "Debian's tiny-dnn, libstb-dev, libcereal-dev, libgemmlowp-dev",
         headers=("include/tiny_dnn/tiny_dnn.h", "include/stb/stb_image.h", "include/cereal/cereal.hpp",
                  "include/gemmlowp/public/gemmlowp.h"), flags=NATIVE, environments=WAITING),
    Peer("darknet", "darknet", "darknet_step.cpp", "Debian's darknet", headers=(f"{DARKNET}/include/darknet.h",),
         flags=(*NATIVE, f"-I{SYSTEM / DARKNET / 'include'}", f"-L{SYSTEM / DARKNET}", "-ldarknet",
                f"-Wl,-rpath,{SYSTEM / DARKNET}"), threaded=False),
)


@dataclass(frozen=True)
class Runner:
    """A peer as it was found: the command that takes a job, and where it is from."""

    peer: Peer
    command: tuple[str, ...]
    origin: str


def modules_of(python: str) -> dict[str, str]:
    """The folders of the peers' modules that an interpreter has. None of them is loaded, which would take seconds."""
    names = [peer.module for peer in PEERS if peer.module]
    program = ("import importlib.util as u, json; found = {n: u.find_spec(n) for n in " + json.dumps(names) + "}; "
               "print(json.dumps({n: (list(s.submodule_search_locations or []) + [''])[0] "
               "for n, s in found.items() if s}))")
    return last_json(output_of([python, "-c", program], {}), python)


def compiled(peer: Peer, flags: tuple[str, ...], folder: Path) -> str:
    """The worker's program, built unless the folder has it; throws CompareError if it cannot be built."""
    sources = [WORKERS / peer.worker, WORKERS / "step_timer.h"]
    command = [*shlex.split(os.environ.get("CXX", "c++")), str(sources[0]), *flags]
    key = hashlib.sha256(json.dumps([command, *(path.read_text(encoding="utf-8") for path in sources)]).encode())
    program = folder / f"{peer.key}-{key.hexdigest()[:12]}"
    if program.exists():
        return str(program)
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = program.with_suffix(f".{os.getpid()}")
    print(f"building {peer.worker} ...", flush=True)
    try:
        done = subprocess.run([*command, "-o", str(unfinished)], capture_output=True, text=True, check=False)
    except OSError as error:
        raise CompareError(f"cannot run {command[0]}: {error.strerror}") from error
    if done.returncode != 0:
        lines = done.stderr.splitlines() or ["failed"]
        first = next((line for line in lines if "error" in line), lines[0])
        raise CompareError(f"{command[0]}: {first[:COMPLAINT_LENGTH]}")
    unfinished.rename(program)
    return str(program)


def with_third_party(folder: Path) -> str:
    """tiny-dnn includes stb as "third_party/stb/..."; Debian has it elsewhere."""
    link = folder / "include" / "third_party" / "stb"
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink():
        link.symlink_to(SYSTEM / "include" / "stb")
    return f"-I{folder / 'include'}"


def libtorch_flags(torch: Path) -> tuple[str, ...]:
    include, lib = torch / "include", torch / "lib"
    return ("-std=c++20", "-O2", f"-I{include}", f"-I{include / 'torch/csrc/api/include'}", f"-L{lib}", "-ltorch",
            "-ltorch_cpu", "-lc10", f"-Wl,-rpath,{lib}")


def find(peer: Peer, modules: dict[str, dict[str, str]], folder: Path) -> list[Runner]:
    """Every way to run a peer: one for each interpreter that has it, or its program. Throws where there is none."""
    if peer.module:
        runners = [Runner(peer, (python, str(WORKERS / peer.worker)), python)
                   for python, names in modules.items() if peer.module in names]
        if not runners:
            raise CompareError(f"no --python has it ({peer.install})")
        return runners
    if peer.key == "libtorch":
        folders = [(python, Path(names["torch"])) for python, names in modules.items() if "torch" in names]
        runners = [Runner(peer, (compiled(peer, libtorch_flags(torch), folder),), python) for python, torch in folders
                   if (torch / "include/torch/csrc/api/include/torch/torch.h").exists()]
        if not runners:
            raise CompareError(f"no --python has it ({peer.install})")
        return runners
    missing = next((header for header in peer.headers if not (SYSTEM / header).exists()), None)
    if missing:
        raise CompareError(f"there is no {SYSTEM / missing} ({peer.install})")
    flags = (*peer.flags, with_third_party(folder)) if peer.key == "tiny-dnn" else peer.flags
    return [Runner(peer, (compiled(peer, flags, folder),), str(SYSTEM))]


def blas_note() -> str | None:
    """Debian's PyTorch and dlib multiply with the system's BLAS, of which the reference one is slow."""
    found = sorted(SYSTEM.glob("lib/*/libblas.so.3"))
    if not found or found[0].resolve().parent.name != "blas":
        return None
    return ("note: the system's BLAS, with which Debian's PyTorch and dlib multiply, is the slow reference one "
            "(install Debian's libopenblas0-openmp)")
