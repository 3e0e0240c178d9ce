#!/usr/bin/env python3
"""What is known of the kernels' machine code without running it, and whether it is as it should be.

  kernel_facts.py check LIBRARY --nvcc VERSION   prints a table, and fails for local memory, missing 16-byte accesses,
                                                 double precision, and registers or occupancy worse than resources.tsv's
  kernel_facts.py renew LIBRARY --nvcc VERSION   writes resources.tsv, for the architectures that the library has

LIBRARY is BUILD/kernels/libconvoy_kernels.a, VERSION that of the nvcc that made it. --tools FOLDER is where to look for
cuobjdump first. Exit code 0 done, 1 something is worse, 2 wrong usage, 77 there is no cuobjdump.
"""

import argparse
import pathlib
import sys
import tomllib

from facts import Missing, find_tools, read_library
from occupancy import LIMITS, occupancy, own_shared

HERE = pathlib.Path(__file__).resolve().parent
EXPECTATIONS = HERE / "expectations.toml"
RESOURCES = HERE / "resources.tsv"

LOCAL = r"LDL|STL"
WIDE_LOAD = r"LDG?\.(\w+\.)*128"
WIDE_STORE = r"STG?\.(\w+\.)*128"
# Arithmetic on doubles, and conversions from and to them.
DOUBLE = r"D(ADD|MUL|FMA|SETP|MNMX)\b|(F2F|I2F|F2I|FRND)\.(\w+\.)*F64|MUFU\.\w+64H"


def table_of(kernels):
    """{(kernel, architecture): (registers, occupancy)}; occupancy is None where no size of the block is promised."""
    table = {}
    for one in kernels:
        shared = own_shared(one.shared, one.architecture)
        resident = occupancy(one.registers, shared, one.block, one.architecture) if one.block else None
        table[one.kernel, one.architecture] = (one.registers, resident)
    return table


def write_table(table, nvcc):
    """The table as text: a row a kernel, "registers/occupancy" for each architecture, - where it was not compiled."""
    architectures = sorted({architecture for _, architecture in table})
    rows = [["kernel", *(f"sm_{architecture}" for architecture in architectures)]]
    for kernel in sorted({kernel for kernel, _ in table}):
        cells = [table.get((kernel, architecture)) for architecture in architectures]
        text = lambda cell: "-" if cell is None else f"{cell[0]}/{'-' if cell[1] is None else cell[1]}"
        rows.append([kernel, *map(text, cells)])
    head = f"# registers a thread / resident threads in percent, by nvcc {nvcc}; see kernel_facts.py renew\n"
    return head + "".join("\t".join(row) + "\n" for row in rows)


def read_table(text):
    """The table and the version of nvcc."""
    head, titles, *rows = text.splitlines()
    architectures = [int(title.removeprefix("sm_")) for title in titles.split("\t")[1:]]
    table = {}
    for row in rows:
        kernel, *cells = row.split("\t")
        for architecture, cell in zip(architectures, cells):
            if cell != "-":
                registers, resident = cell.split("/")
                table[kernel, architecture] = (int(registers), None if resident == "-" else int(resident))
    return table, head.split("nvcc ")[1].split(";")[0]


def problems_of(one, expectations):
    """Sentences on one kernel's machine code."""
    found = []
    if one.stack or one.count(LOCAL):
        found.append(f"uses {one.stack} bytes of local memory: index no array by a variable, see kernels/pack.h")
    wide = expectations["wide"].get(one.name)
    if wide is None:
        found.append(f"has no entry in [wide] of {EXPECTATIONS.name}: say how many 16-byte accesses it should have")
    else:
        for kind, pattern in (("loads", WIDE_LOAD), ("stores", WIDE_STORE)):
            if one.count(pattern) < wide[kind]:
                found.append(f"has {one.count(pattern)} 16-byte {kind}, and should have {wide[kind]}")
    if one.count(DOUBLE) and one.name not in expectations["double"]:
        found.append(f"has {one.count(DOUBLE)} instructions in double precision: is a literal without f?")
    return found


def worse(now, before, same_compiler):
    """Sentences on (registers, occupancy) of a kernel, compared with the table's."""
    if before is None:
        return [f"is not in {RESOURCES.name}: add it by kernel_facts.py renew"]
    found = []
    if (now[1] or 0) < (before[1] or 0):
        found.append(f"fills {now[1]} % of a multiprocessor, {before[1]} before")
    # Another compiler allots a few more or fewer, which matters only where fewer threads fit.
    if same_compiler and now[0] > before[0]:
        found.append(f"needs {now[0]} registers, {before[0]} before")
    return found


def check(kernels, expectations, resources, nvcc):
    """All sentences, each with kernel and architecture in front."""
    before, its_nvcc = read_table(resources)
    now = table_of(kernels)
    found = []
    for one in kernels:
        sentences = problems_of(one, expectations)
        key = (one.kernel, one.architecture)
        sentences += worse(now[key], before.get(key), nvcc == its_nvcc)
        found += [f"{one.kernel} on sm_{one.architecture} {sentence}" for sentence in sentences]
    names = {one.name for one in kernels}
    for table in ("wide", "double"):
        found += [f"[{table}] of {EXPECTATIONS.name} has {name}, which is no kernel" for name in expectations[table] if name not in names]
    instances = {one.kernel for one in kernels}
    gone = sorted({kernel for kernel, _ in before} - instances)
    return found + [f"{RESOURCES.name} has {kernel}, which is no kernel: kernel_facts.py renew" for kernel in gone]


def renew(kernels, resources, nvcc):
    """resources.tsv's new text: what the library does not have is kept of kernels that it has."""
    table = table_of(kernels)
    instances = {one.kernel for one in kernels}
    before = read_table(resources)[0] if resources else {}
    kept = {key: value for key, value in before.items() if key[0] in instances}
    return write_table({**kept, **table}, nvcc)


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["check", "renew"])
    parser.add_argument("library", type=pathlib.Path)
    parser.add_argument("--nvcc", required=True)
    parser.add_argument("--tools", action="append", default=[])
    options = parser.parse_args(arguments)
    try:
        kernels = read_library(options.library, find_tools(options.tools))
    except Missing as missing:
        print(f"skipped: {missing}")
        return 77
    unknown = sorted({one.architecture for one in kernels} - LIMITS.keys())
    if unknown or not kernels:
        print(f"{options.library} has no kernels" if not kernels else f"occupancy.py does not know sm_{unknown[0]}")
        return 1
    text = RESOURCES.read_text(encoding="utf-8") if RESOURCES.exists() else ""
    if options.command == "renew":
        RESOURCES.write_text(renew(kernels, text, options.nvcc), encoding="utf-8")
        return 0
    print(write_table(table_of(kernels), options.nvcc))
    found = check(kernels, tomllib.loads(EXPECTATIONS.read_text(encoding="utf-8")), text, options.nvcc)
    print("\n".join(found) or f"{len(kernels)} instances of kernels are as they should be")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
