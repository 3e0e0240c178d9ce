"""The check of machine code by itself: what it reads, how it counts occupancy, and what it complains about."""

import collections
import subprocess
import sys
import unittest
from pathlib import Path

import kernel_facts
from facts import Facts, read_blocks, read_code
from occupancy import occupancy, own_shared

CODE = """\
Fatbin elf code:
================
arch = sm_90

Resource usage:
 Common:
  GLOBAL:0
 Function _Z1kPf:
  REG:26 STACK:8 SHARED:132 LOCAL:4 CONSTANT[0]:472 TEXTURE:0 SURFACE:0 SAMPLER:0

\tcode for sm_90
\t\tFunction : _Z1kPf
        /*0000*/                   LDC R1, c[0x0][0x28] ;                  /* 0x00000a00ff017b82 */
                                                                           /* 0x000ff00000000800 */
        /*0010*/              @!P0 LDG.E.128.CONSTANT R4, desc[UR4][R2.64] ;  /* 0x00008c00ff047b82 */
        /*0020*/             @!UP1 STG.E.128 [R2], R4 ;                    /* 0x00008c0000077ab9 */
        /*0030*/                   DMUL R4, R4, R6 ;                       /* 0x0000000000007919 */
        /*0040*/                   F2F.F64.F32 R4, R4 ;                    /* 0x0000000000007919 */
        /*0050*/                   STL.64 [R1+0x8], R12 ;                  /* 0x0000000000007919 */
"""
ELF = """\
arch = sm_90
.nv.info._Z1kPf
\tAttribute:\tEIATTR_MAX_THREADS
\tFormat:\tEIFMT_SVAL
\tValue:\t0x80 0x2 0x1 
"""
EXPECTATIONS = {"wide": {"k": {"loads": 1, "stores": 1}}, "double": {}}
RESOURCES = "# registers, by nvcc 13.0; renew\nkernel\tsm_80\tsm_90\nk<float>\t30/100\t32/100\nk<bfloat16>\t-\t40/75\n"


def kernel(**changes):
    good = {"instructions": collections.Counter({"LDG.E.128": 1, "STG.E.128": 1}), "registers": 32, "block": 256}
    return Facts("k<float>", 90, **{**good, **changes})


class ReadsWhatCuobjdumpSays(unittest.TestCase):
    def test_resources_instructions_and_blocks(self):
        found = {}

        def facts(symbol, architecture):
            return found.setdefault((symbol, architecture), Facts(symbol, architecture))

        read_code(CODE, facts)
        read_blocks(ELF, facts)
        one = found["_Z1kPf", 90]
        self.assertEqual(list(found), [("_Z1kPf", 90)])
        self.assertEqual((one.registers, one.stack, one.shared, one.block), (26, 12, 132, 256))
        self.assertEqual(one.count(kernel_facts.WIDE_LOAD), 1)
        self.assertEqual(one.count(kernel_facts.WIDE_STORE), 1)
        self.assertEqual(one.count(kernel_facts.DOUBLE), 2)
        self.assertEqual(one.count(kernel_facts.LOCAL), 1)
        self.assertEqual(sum(one.instructions.values()), 6)


class Occupancy(unittest.TestCase):
    def test_is_limited_by_whatever_is_scarcest(self):
        # (registers, shared, block, architecture) and what NVIDIA's occupancy calculator says.
        cases = {
            (32, 0, 256, 90): 100,
            (64, 0, 256, 90): 50,  # registers: 32 warps
            (64, 0, 256, 75): 100,  # sm_75 holds half as many threads
            (40, 0, 256, 86): 100,
            (41, 0, 256, 86): 83,  # 48 registers are given: 40 warps
            (255, 0, 256, 90): 12,
            (32, 0, 32, 90): 50,  # 32 blocks
            (32, 0, 32, 86): 33,  # 16 blocks
            (32, 48 * 1024, 256, 86): 33,  # shared memory: two blocks
            (32, 48 * 1024, 256, 75): 25,  # one
            (32, 0, 1024, 86): 66,  # one block of 1024 in 1536
        }
        for arguments, percent in cases.items():
            self.assertEqual(occupancy(*arguments), percent, arguments)

    def test_the_reserved_part_is_not_counted_twice(self):
        self.assertEqual([own_shared(1028, 100), own_shared(1028, 90), own_shared(0, 120)], [4, 1028, 0])


class Check(unittest.TestCase):
    def check(self, one, nvcc="13.0", expectations=None):
        resources = RESOURCES.replace("k<bfloat16>\t-\t40/75\n", "")
        return kernel_facts.check([one], expectations or EXPECTATIONS, resources, nvcc)

    def test_is_content_with_what_is_no_worse(self):
        self.assertEqual(self.check(kernel()), [])
        self.assertEqual(self.check(kernel(registers=30)), [])

    def test_finds_what_is_wrong_in_the_machine_code(self):
        where = "k<float> on sm_90 "
        self.assertIn("uses 16 bytes of local memory", self.check(kernel(stack=16))[0])
        narrow = kernel(instructions=collections.Counter({"LDG.E": 4, "STG.E.128": 1}))
        self.assertEqual(self.check(narrow), [where + "has 0 16-byte loads, and should have 1"])
        double = kernel(instructions=collections.Counter({"LDG.E.128": 1, "STG.E.128": 1, "DFMA": 3}))
        self.assertIn("has 3 instructions in double precision", self.check(double)[0])
        self.assertEqual(self.check(double, expectations={**EXPECTATIONS, "double": {"k": "it may"}}), [])
        self.assertIn("has no entry in [wide]", self.check(kernel(), expectations={"wide": {}, "double": {}})[0])

    def test_more_registers_count_with_the_same_compiler_and_fewer_threads_always(self):
        more = self.check(kernel(registers=33))
        self.assertEqual(len(more), 2)
        self.assertIn("fills 75 % of a multiprocessor, 100 before", more[0])
        self.assertIn("needs 33 registers, 32 before", more[1])
        self.assertEqual(len(self.check(kernel(registers=33), nvcc="13.1")), 1)
        self.assertEqual(self.check(kernel(registers=31), nvcc="13.1"), [])

    def test_names_what_the_tables_have_too_many_or_too_few(self):
        stale = {"wide": {**EXPECTATIONS["wide"], "gone_kernel": {"loads": 0, "stores": 0}}, "double": {}}
        self.assertIn("gone_kernel, which is no kernel", self.check(kernel(), expectations=stale)[0])
        found = kernel_facts.check([kernel()], EXPECTATIONS, RESOURCES, "13.0")
        self.assertEqual(found, ["resources.tsv has k<bfloat16>, which is no kernel: kernel_facts.py renew"])
        unknown = Facts("k<half>", 90, registers=8, block=256, instructions=kernel().instructions)
        self.assertIn("k<half> on sm_90 is not in resources.tsv", self.check(unknown)[0])


class Table(unittest.TestCase):
    def test_is_read_as_it_is_written(self):
        table, nvcc = kernel_facts.read_table(RESOURCES)
        self.assertEqual(nvcc, "13.0")
        self.assertEqual(table["k<float>", 80], (30, 100))
        self.assertNotIn(("k<bfloat16>", 80), table)
        self.assertEqual(kernel_facts.read_table(kernel_facts.write_table(table, "13.0")), (table, "13.0"))

    def test_renewing_keeps_other_architectures_and_drops_kernels_that_are_gone(self):
        table, nvcc = kernel_facts.read_table(kernel_facts.renew([kernel(registers=20)], RESOURCES, "13.1"))
        self.assertEqual(table, {("k<float>", 80): (30, 100), ("k<float>", 90): (20, 100)})
        self.assertEqual(nvcc, "13.1")


class Command(unittest.TestCase):
    def test_without_cuobjdump_it_is_skipped_and_says_why(self):
        script = Path(kernel_facts.__file__)
        command = [sys.executable, "-S", str(script), "check", "none.a", "--nvcc", "13.0"]
        run = subprocess.run(command, capture_output=True, text=True, check=False, env={"PATH": "/nowhere"})
        self.assertEqual(run.returncode, 77, run.stderr)
        self.assertIn("skipped: there is no cuobjdump: install", run.stdout)

    def test_wrong_use_is_refused(self):
        run = subprocess.run([sys.executable, kernel_facts.__file__, "check"], capture_output=True, check=False)
        self.assertEqual(run.returncode, 2)


if __name__ == "__main__":
    unittest.main()
