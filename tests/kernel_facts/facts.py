"""What a library's kernels are made of, read from their machine code by cuobjdump."""

import collections
import dataclasses
import os
import pathlib
import re
import shutil
import site
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "kernels"))
from refuse_spills import short_names  # noqa: E402

TOOLS = ("cuobjdump", "nvdisasm")  # the first calls the second
INSTALL = "install the CUDA toolkit's cuobjdump and nvdisasm, or: pip install nvidia-cuda-cuobjdump nvidia-cuda-nvdisasm"


class Missing(Exception):
    """There is no cuobjdump; the message says what to do."""


@dataclasses.dataclass
class Facts:
    """One kernel on one architecture. `instructions` counts them by name: "LDG.E.128.CONSTANT"."""

    kernel: str  # cross_entropy_kernel<WarpTeam, float>
    architecture: int  # 90
    registers: int = 0
    stack: int = 0  # bytes of local memory a thread
    shared: int = 0  # bytes a block
    block: int = 0  # most threads of a block, by __launch_bounds__; 0: not said
    instructions: collections.Counter = dataclasses.field(default_factory=collections.Counter)

    @property
    def name(self):
        """Without template arguments."""
        return self.kernel.split("<")[0]

    def count(self, pattern):
        """Instructions whose name begins with the regular expression."""
        return sum(count for name, count in self.instructions.items() if re.match(pattern, name))


def find_tools(folders=()):
    """The tools' paths: in `folders`, on PATH, or where Python's packages have them. Throws Missing."""
    places = [str(folder) for folder in folders] + os.environ.get("PATH", "").split(os.pathsep)
    for packages in [*site.getsitepackages(), site.getusersitepackages()]:
        places += map(str, sorted(pathlib.Path(packages).glob("nvidia/cu*/bin")))
        places += map(str, pathlib.Path(packages).glob("nvidia/cuda_*/bin"))
    found = [shutil.which(tool, path=os.pathsep.join(places)) for tool in TOOLS]
    for tool, path in zip(TOOLS, found):
        if path is None:
            raise Missing(f"there is no {tool}: {INSTALL}")
    return found


CODE = re.compile(r"\s*code for sm_(\d+)")
FUNCTION = re.compile(r"\s*Function : (\w+)")
INSTRUCTION = re.compile(r"\s+/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z][\w.]*)")
ARCHITECTURE = re.compile(r"arch = sm_(\d+)")
RESOURCES = re.compile(r"\s*REG:(\d+) STACK:(\d+) SHARED:(\d+) LOCAL:(\d+)")
RESOURCES_OF = re.compile(r"\s*Function (\w+):")
SECTION = re.compile(r"\.nv\.info\.(\w+)")
BLOCK = re.compile(r"\s*Value:\s+0x([0-9a-f]+) 0x([0-9a-f]+) 0x([0-9a-f]+)")


def read_code(text, facts):
    """Resources and instructions, from `cuobjdump -res-usage -sass`."""
    architecture = one = None
    for line in text.splitlines():
        if match := INSTRUCTION.match(line):
            one.instructions[match[1]] += 1
        elif match := FUNCTION.match(line):
            one = facts(match[1], architecture)
        elif match := CODE.match(line) or ARCHITECTURE.match(line):
            architecture = int(match[1])
        elif match := RESOURCES_OF.match(line):
            one = facts(match[1], architecture)
        elif match := RESOURCES.match(line):
            one.registers, stack, one.shared, local = map(int, match.groups())
            one.stack = stack + local


def read_blocks(text, facts):
    """Sizes of blocks, from `cuobjdump -elf`."""
    architecture = kernel = None
    expected = False
    for line in text.splitlines():
        if match := ARCHITECTURE.match(line):
            architecture = int(match[1])
        elif line.startswith(".nv.info.") and (match := SECTION.match(line)):
            kernel = match[1]
        elif "EIATTR_MAX_THREADS" in line:
            expected = True
        elif expected and (match := BLOCK.match(line)):
            x, y, z = (int(value, 16) for value in match.groups())
            facts(kernel, architecture).block = x * y * z
            expected = False


def read_library(library, tools):
    """The Facts of all kernels of an object file or archive. Throws RuntimeError if cuobjdump does not read it."""

    def dump(*arguments):
        environment = {**os.environ, "NVDISASM_PATH": str(pathlib.Path(tools[1]).parent)}
        environment["PATH"] = os.pathsep.join([environment["NVDISASM_PATH"], os.environ.get("PATH", "")])
        run = subprocess.run(
            [tools[0], *arguments, str(library)], capture_output=True, text=True, check=False, env=environment
        )
        if run.returncode != 0:
            raise RuntimeError(f"cuobjdump {' '.join(arguments)} {library}: {run.stderr.strip()}")
        return run.stdout

    found = {}

    def facts(symbol, architecture):
        return found.setdefault((symbol, architecture), Facts(symbol, architecture))

    read_code(dump("-res-usage", "-sass"), facts)
    read_blocks(dump("-elf"), facts)
    kernels = [one for one in found.values() if one.instructions]
    symbols = sorted({one.kernel for one in kernels})
    names = dict(zip(symbols, short_names(symbols)))
    for one in kernels:
        one.kernel = names[one.kernel]
    return sorted(kernels, key=lambda one: (one.kernel, one.architecture))
