#!/usr/bin/env python3
"""vector_code_test.py LIBRARY: the CPU backend's loops are vector code on each of Highway's targets for x86-64.

GCC has taken comparisons of vectors apart into scalar ones unseen: the bits were right, and the loop ten times slower.
"""

import re
import shutil
import subprocess
import sys
import unittest

# The widest registers of each target, and how they are called.
REGISTERS = {
    "SSSE3": "xmm", "SSE4": "xmm", "AVX2": "ymm", "AVX3": "zmm", "AVX3_DL": "zmm", "AVX3_ZEN4": "zmm", "AVX3_SPR": "zmm"
}
# All loops, and those that compare every number. The groups of a weight gradient are eight channels: half of a zmm.
LOOPS = [
    "add_deviations_f32", "normalize_f32", "add_gradients_f32", "differentiate_f32", "max_pool", "max_pool_backward",
    "add_f32", "multiply", "mask_by_relu_f32", "update_by_adam", "update_by_sgd", "average", "add_weight_gradients",
    "normalize_and_pool_f32", "add_pooled_gradients_f32", "differentiate_pooled_f32", "add_deviations_bf16",
    "normalize_bf16", "add_gradients_bf16", "differentiate_bf16", "add_bf16", "mask_by_relu_bf16",
    "widen", "narrow", "normalize_and_pool_bf16", "add_pooled_gradients_bf16", "differentiate_pooled_bf16",
    "multiply_by_weights_f32", "differentiate_linear_f32", "multiply_by_inputs_f32", "multiply_by_weights_bf16",
    "differentiate_linear_bf16", "multiply_by_inputs_bf16"
]
NOT_COMPARING = [
    "multiply", "widen", "update_by_adam", "update_by_sgd", "average", "add_weight_gradients", "multiply_by_weights_f32",
    "differentiate_linear_f32", "multiply_by_inputs_f32", "multiply_by_weights_bf16", "multiply_by_inputs_bf16"
]
CONVERTING = ["widen", "narrow"]  # by integers
COMPARING = [loop for loop in LOOPS if loop not in NOT_COMPARING]
EIGHT_WIDE = ["add_weight_gradients"]

# A loop's function, `normalize_f32`, or the template behind it, `normalize_of<float>`.
SYMBOL = re.compile(r"^[0-9a-f]+ <(?:auto )?(?:void )?convoy::cpu::N_(\w+)::(\w+?)(?:_of<(?:convoy::cpu::)?(\w+)>)?\(")
SUFFIXES = {None: "", "float": "_f32", "Bfloat16": "_bf16"}
PACKED = re.compile(r"v?(?:add|sub|mul|div|and|andn|cmp[a-z_]*|fn?m(?:add|sub)\d*)p[sd]\b")
PACKED_INTEGERS = re.compile(r"v?p(?:add|slld|srld)d?\b")
SCALAR_COMPARISON = re.compile(r"v?(?:u?comiss|cmp\w*ss)")


def instructions_of(listing: str) -> dict[tuple[str, str], list[str]]:
    """The instructions of each loop on each target: those of its function, and of its lambdas where they are functions."""
    found: dict[tuple[str, str], list[str]] = {}
    here = None
    for line in listing.splitlines():
        if line.endswith(">:"):
            symbol = SYMBOL.match(line)
            here = (symbol[1], symbol[2] + SUFFIXES.get(symbol[3], "")) if symbol else None
        elif here and "\t" in line:
            found.setdefault(here, []).append(line.split("\t", 1)[1].strip())
    return found


def faults(listing: str) -> list[str]:
    """What is not as it should be, a line each."""
    loops = instructions_of(listing)
    targets = sorted({target for target, _ in loops} & REGISTERS.keys())
    found = [] if targets else ["there is no target that this test knows"]
    for target in targets:
        for loop in LOOPS:
            code = loops.get((target, loop), [])
            register = "ymm" if loop in EIGHT_WIDE and REGISTERS[target] == "zmm" else REGISTERS[target]
            packed = PACKED_INTEGERS if loop in CONVERTING else PACKED
            if not any(packed.match(i) and "%" + register in i for i in code):
                found.append(f"{loop} on {target} has no arithmetic in {register} registers")
            scalar = [i for i in code if SCALAR_COMPARISON.match(i)]
            if loop in COMPARING and scalar:
                found.append(f"{loop} on {target} compares single numbers: {scalar[0]}")
    return found


def listing_of(body: dict[str, str]) -> str:
    """A listing in which every loop on AVX2 is one instruction, `body`'s or the usual one on vectors."""
    lines = []
    for loop in LOOPS:
        lines.append(f"0000000000000000 <convoy::cpu::N_AVX2::{loop}(float const*)>:")
        usual = "vpslld $0x10,%ymm0,%ymm1" if loop in CONVERTING else "vcmpleps %ymm0,%ymm1,%ymm2"
        lines.append("   0:\t" + body.get(loop, usual))
    return "\n".join(lines)


class VectorCode(unittest.TestCase):
    def test_planted_faults_are_found(self):
        self.assertEqual(faults(listing_of({})), [])
        self.assertEqual(faults(listing_of({"normalize_f32": "vaddps %xmm0,%xmm1,%xmm2"})),
                         ["normalize_f32 on AVX2 has no arithmetic in ymm registers"])
        comparing = listing_of({"max_pool": "vcmpleps %ymm0,%ymm1,%ymm2\n   8:\tvucomiss %xmm1,%xmm0"})
        self.assertEqual(faults(comparing), ["max_pool on AVX2 compares single numbers: vucomiss %xmm1,%xmm0"])
        self.assertEqual(faults(""), ["there is no target that this test knows"])

    def test_every_loop_is_vector_code(self):
        command = ["objdump", "--disassemble", "--demangle", "--no-show-raw-insn", sys.argv[1]]
        listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        self.assertEqual(faults(listing), [])


if __name__ == "__main__":
    if shutil.which("objdump") is None:
        print("skipped: there is no objdump (Debian's binutils)")
        sys.exit(77)
    unittest.main(argv=sys.argv[:1])
