"""Does the release's list of GPU architectures reach every GPU that nvcc knows?

usage: check_architectures.py NVCC ARCHITECTURE...      as CMake writes them: 75-real 80-real 120

Machine code runs on the GPUs of its major number from its minor number on, PTX on all that are newer.
"""
import re
import subprocess
import sys


def reached(gpu, architectures):
    """By which entry of the list, "" if by none."""
    for entry in architectures:
        number, kind = re.fullmatch(r"(\d+)(-real|-virtual)?", entry).groups()
        number = int(number)
        same_major = number // 10 == gpu // 10 and number <= gpu
        if kind != "-virtual" and same_major:
            return f"code of sm_{number}"
        if kind != "-real" and number <= gpu:
            return f"PTX of compute_{number}"
    return ""


def main(nvcc, *architectures):
    known = subprocess.run([nvcc, "--list-gpu-code"], check=True, capture_output=True, text=True).stdout
    gpus = sorted(int(n) for n in re.findall(r"^sm_(\d+)$", known, re.MULTILINE))
    if not gpus:
        sys.exit(f"{nvcc} lists no GPU")
    missed = []
    for gpu in gpus:
        how = reached(gpu, architectures)
        print(f"sm_{gpu}: {how or 'nothing'}")
        if not how:
            missed.append(f"sm_{gpu}")
    if missed:
        sys.exit(f"CONVOY_RELEASE_ARCHITECTURES (cmake/ConvoyCuda.cmake) has neither code nor PTX for {', '.join(missed)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
