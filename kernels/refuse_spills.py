#!/usr/bin/env python3
"""refuse_spills.py NVCC ARGUMENTS...: runs the compiler, and fails if a kernel spills registers to memory.

The arguments must have -Xptxas=-v, by which ptxas says of every kernel what it spills. Those lines are not passed on.
What else is to be known of a kernel is read from the library by tests/kernel_facts/.
"""

import pathlib
import re
import subprocess
import sys

ENTRY = re.compile(r"Compiling entry function '(\w+)' for '(\w+)'")
SPILL = re.compile(r"\d+ bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")


def spills(text):
    """What ptxas says, as (kernel, architecture, bytes) of each kernel that spills, what it calls included."""
    found = []
    entry = None
    for line in text.splitlines():
        if match := ENTRY.search(line):
            entry = match.groups()
        elif (match := SPILL.search(line)) and entry and sum(map(int, match.groups())) > 0:
            found.append((*entry, sum(map(int, match.groups()))))
    return found


def short_names(kernels):
    """Demangled, without namespaces and parameters: cross_entropy_kernel<WarpTeam, float>."""
    try:
        lines = subprocess.run(["c++filt"], input="\n".join(kernels), capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return list(kernels)
    return [
        re.sub(r"\w+::|__nv_|^void ", "", re.sub(r"\([^()]*\)$", "", line.replace("(bool)", "")))
        for line in lines.splitlines()
    ]


def main(command):
    if not command:
        print(__doc__, file=sys.stderr)
        return 2
    run = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    said = run.stderr.splitlines(keepends=True)
    sys.stderr.write("".join(line for line in said if not line.startswith("ptxas info") and not SPILL.search(line)))
    if run.returncode != 0:
        return run.returncode
    found = spills(run.stderr)
    for kernel, architecture, size in found:
        print(f"error: {short_names([kernel])[0]} spills {size} bytes of registers on {architecture}", file=sys.stderr)
    if found and "-o" in command:
        pathlib.Path(command[command.index("-o") + 1]).unlink(missing_ok=True)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
