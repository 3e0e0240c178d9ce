#!/usr/bin/env python3
"""Registers, shared memory and spills of every kernel, as ptxas reports them.

  ptxas_table.py compile NVCC ARGUMENTS...   runs the compiler (with -Xptxas=-v), keeps what ptxas said beside the
                                             object file and fails if a kernel spills registers
  ptxas_table.py table OBJECTS...            prints one table of what was kept
"""

import pathlib
import re
import subprocess
import sys

ENTRY = re.compile(r"Compiling entry function '(\w+)' for '(\w+)'")
SPILL = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
USED = re.compile(r"Used (\d+) registers")
SHARED = re.compile(r"(\d+) bytes smem")


def parse(text):
    """ptxas's lines as rows of (kernel, architecture, registers, shared, stack, spilled), bytes but for registers."""
    rows = []
    kernel = architecture = None
    stack = spilled = 0
    for line in text.splitlines():
        if entry := ENTRY.search(line):
            kernel, architecture = entry.groups()
        elif spill := SPILL.search(line):
            stack, stores, loads = map(int, spill.groups())
            spilled = stores + loads
        elif (used := USED.search(line)) and kernel:
            shared = SHARED.search(line)
            rows.append((kernel, architecture, int(used[1]), int(shared[1]) if shared else 0, stack, spilled))
            kernel = None
    return rows


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


def record_path(object_file):
    return pathlib.Path(object_file + ".ptxas")


def compile_and_record(command):
    run = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    said = run.stderr.splitlines(keepends=True)
    sys.stderr.write("".join(line for line in said if not line.startswith("ptxas info") and not SPILL.search(line)))
    if run.returncode != 0 or "-o" not in command:
        return run.returncode
    object_file = command[command.index("-o") + 1]
    spilling = [row for row in parse(run.stderr) if row[5] > 0]
    if spilling:
        pathlib.Path(object_file).unlink(missing_ok=True)
        for kernel, architecture, *_, spilled in spilling:
            name = short_names([kernel])[0]
            print(f"error: {name} spills {spilled} bytes of registers on {architecture}", file=sys.stderr)
        return 1
    record_path(object_file).write_text(run.stderr, encoding="utf-8")
    return 0


def print_table(objects):
    records = [record_path(o) for o in objects if record_path(o).exists()]
    rows = [row for record in records for row in parse(record.read_text(encoding="utf-8"))]
    names = short_names([row[0] for row in rows])
    table = sorted((name, *row[1:]) for name, row in zip(names, rows))
    width = max((len(name) for name in names), default=0)
    print(f"{'kernel':{width}}  {'arch':7} {'registers':>9} {'shared B':>8} {'stack B':>7} {'spilled B':>9}")
    for name, architecture, registers, shared, stack, spilled in table:
        print(f"{name:{width}}  {architecture:7} {registers:9} {shared:8} {stack:7} {spilled:9}")
    return 0


def main(arguments):
    if len(arguments) >= 2 and arguments[0] == "compile":
        return compile_and_record(arguments[1:])
    if len(arguments) >= 1 and arguments[0] == "table":
        return print_table(arguments[1:])
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
