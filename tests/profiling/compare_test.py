"""compare.py with stand-ins for Convoy, interpreters, compiler and workers: no peer and no clock involved."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

BENCH = Path(__file__).resolve().parents[2] / "profiling" / "bench"
sys.path[:0] = [str(BENCH), str(BENCH / "peers")]

import catalog  # noqa: E402  (their folders must be on the path first)
import compare  # noqa: E402
import scan  # noqa: E402
import step_timer  # noqa: E402

# Takes the place of a worker: notes its environment. A step takes 30 ms in fp32 and 22 in bf16, less 4 for fused Adam,
# 2 where OpenMP waits passively, 1 for channels_last, 1 with tcmalloc, 3 compiled, 5 on two threads; "foreach" is one
# that this PyTorch does not know.
WORKER = """#!{python} -IS
import json, os, sys
value = dict(zip(sys.argv[first:first + 10:2], sys.argv[first + 1:first + 11:2]))
passive, preload = os.environ.get("OMP_WAIT_POLICY") == "passive", os.environ.get("LD_PRELOAD", "")
with open({log!r}, "a") as log:
    print(name, value["--threads"], passive, os.path.basename(preload), os.environ.get("OMP_NUM_THREADS"), file=log)
def run(variant):
    words = variant.split("+")
    if "foreach" in words:
        return None
    ms = dict(fp32=30, bf16=22)[words[0]] - 4 * ("fused" in words) - 2 * passive - ("channels_last" in words)
    ms -= ("tcmalloc" in preload) + 3 * ("compile" in words) + 5 * (value["--threads"] == "2")
    return dict(seconds=[ms / 1e3] * int(value["--steps"]), losses=[2.5, {last_loss}])
print(json.dumps(dict(version="9.9", runs=[run(v) for v in sys.argv[first + 10:]])))
"""
INTERPRETER = WORKER.replace("value =", """if sys.argv[1] == "-c":
    print(json.dumps({modules}))
    sys.exit(0)
name, first = os.path.basename(sys.argv[1]), 2
value =""", 1)
COMPILED = WORKER.replace("value =", "name, first = os.path.basename(sys.argv[0]), 1\nvalue =", 1)

# Takes the place of a compiler: its program is the stand-in for a worker.
COMPILER = """#!{python} -IS
import os, shutil, sys
with open({log!r}, "a") as log:
    print("compiler", os.path.basename(sys.argv[1]), file=log)
if {code}:
    sys.exit("worker.cpp:7: error: no such thing")
shutil.copy({program!r}, sys.argv[sys.argv.index("-o") + 1])
"""

CONVOY = """#!{python} -IS
import os, sys
with open({log!r}, "a") as log:
    print("convoy", os.environ.get("ONEDNN_MAX_CPU_ISA"), *sys.argv[1:], file=log)
if "bf16" in sys.argv and not {bf16}:
    sys.exit("convoy: error: --precision bf16 is the CUDA backend's")
print({output!r})
sys.exit({code})
"""

EVENT = {"event": "bench", "ms_per_step_median": 4.0, "ms_per_step_min": 3.5, "convolutions_ms": 2.5}


class Compare(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.log = self.folder / "log"
        self.python = self.program("python", INTERPRETER, modules={"torch": "/nowhere"}, last_loss=0.5)
        self.system = self.folder / "system"
        for patch in (mock.patch.object(catalog, "SYSTEM", self.system), mock.patch.object(scan, "SYSTEM", self.system),
                      mock.patch.object(scan, "thread_counts", lambda: [1, 2])):
            patch.start()
            self.addCleanup(patch.stop)

    def program(self, name: str, text: str, **values: object) -> str:
        path = self.folder / name
        path.write_text(text.format(python=sys.executable, log=str(self.log), **values), encoding="utf-8")
        path.chmod(0o755)
        return str(path)

    def convoy(self, output: str = json.dumps(EVENT), code: int = 0, bf16: bool = True) -> str:
        return self.program("convoy", CONVOY, output=output, code=code, bf16=bf16)

    def install(self, *files: str) -> None:
        """Makes empty files where Debian's packages lie."""
        for name in files:
            (self.system / name).parent.mkdir(parents=True, exist_ok=True)
            (self.system / name).touch()

    def install_compiler(self, code: int = 0) -> None:
        worker = self.program("worker", COMPILED, last_loss=0.5)
        compiler = self.program("compiler", COMPILER, program=worker, code=code)
        patch = mock.patch.dict(os.environ, {"CXX": compiler})
        patch.start()
        self.addCleanup(patch.stop)

    def compare(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, stdout, stderr."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = compare.main(["--python", self.python, "--rounds", "2", "--steps", "7",
                                 "--build-folder", str(self.folder / "build"), *arguments])
        return code, out.getvalue(), err.getvalue()

    def lines(self) -> list[str]:
        return self.log.read_text(encoding="utf-8").splitlines()

    def test_convoy_takes_turns_with_the_fastest_settings(self) -> None:
        self.install("lib/any/libtcmalloc_minimal.so.4")
        with mock.patch.dict(os.environ, {"OMP_NUM_THREADS": "7"}):  # must reach nobody
            run_event = json.dumps({"event": "run"})
            code, out, _ = self.compare("--convoy", self.convoy(f"{run_event}\n{json.dumps(EVENT)}"))
        self.assertEqual(code, 0)  # and the fastest has 30 - 4 - 2 - 1 - 1 - 3 - 5 over 4
        self.assertIn("best-fp32: Convoy is 3.50 times as fast as PyTorch 9.9\n", out)
        self.assertIn("2 thr, tcmalloc_minimal, OMP_WAIT_POLICY=passive, fp32 channels_last fused compile", out)
        self.assertIn("classic: Convoy is 5.75 times as fast as PyTorch 9.9, classic\n", out)  # 30 - 2 - 5 over 4
        self.assertIn("2 thr, OMP_WAIT_POLICY=passive, fp32 contiguous default", out)
        self.assertIn("Convoy fp32: its convolutions alone take 2.50 ms; the whole step takes 1.60 times that", out)
        self.assertNotIn("foreach", out)

        turns = [line.split()[0] for line in self.lines() if line.split()[0] in ("pytorch_step.py", "convoy")][-8:]
        self.assertEqual(turns, ["pytorch_step.py", "convoy"] * 4)
        self.assertIn("convoy None bench --device cpu --model convnet --batch-size 100 --steps 7 --json", self.lines())
        for line in ("pytorch_step.py 1 False  1", "pytorch_step.py 2 False  2", "pytorch_step.py 2 True  2",
                     "pytorch_step.py 2 True libtcmalloc_minimal.so.4 2"):
            self.assertIn(line, self.lines())
        self.assertNotIn("pytorch_step.py 1 True  1", self.lines())  # one thread waits for nobody

    def test_bf16_is_compared_with_bf16(self) -> None:
        wanted = ("--assert", "best-bf16=1.7", "--assert", "pytorch-bf16=1.7")
        code, out, _ = self.compare("--convoy", self.convoy(), *wanted)
        self.assertEqual(code, 0)
        self.assertRegex(out, r"\nConvoy bf16 +4\.00 ")
        self.assertIn("best-bf16: Convoy is 1.75 times as fast as PyTorch 9.9, 1.70 wanted: reached\n", out)
        command = "convoy None bench --device cpu --model convnet --batch-size 100 --precision bf16 --steps 7 --json"
        self.assertIn(command, self.lines())

    def test_convoy_without_bf16_is_a_line(self) -> None:
        convoy = self.convoy(bf16=False)
        code, out, _ = self.compare("--convoy", convoy)
        self.assertEqual(code, 0)
        self.assertRegex(out, r"Convoy bf16: not measured: .*--precision bf16 is the CUDA backend's\n")
        self.assertNotIn("best-bf16:", out)
        code, _, err = self.compare("--convoy", convoy, "--assert", "best-bf16=1")
        self.assertEqual(code, 2)
        self.assertEqual(err, "compare: --assert best-bf16: not measured, the lines above say why\n")

    def test_assertions_decide_the_exit_code(self) -> None:
        convoy = self.convoy()
        self.assertEqual(self.compare("--convoy", convoy, "--assert", "classic=5.7")[0], 0)
        code, out, _ = self.compare("--convoy", convoy, "--assert", "classic=5.7", "--assert", "pytorch-fp32=5")
        self.assertEqual(code, 1)
        self.assertIn("5.70 wanted: reached", out)
        self.assertIn("5.00 wanted: MISSED", out)
        for wrong in ("best=1", "classic", "classic=-1", "classic=fast"):
            with self.subTest(wrong=wrong), self.assertRaises(SystemExit) as raised:
                self.compare("--convoy", convoy, "--assert", wrong)
            self.assertEqual(raised.exception.code, 2)

    def test_peers_that_are_not_there_are_lines(self) -> None:
        code, out, _ = self.compare("--convoy", self.convoy())
        self.assertEqual(code, 0)
        self.assertIn("JAX: not measured: no --python has it (pip install jax optax)\n", out)
        self.assertIn("libtorch: not measured: no --python has it (pip install torch, whose package has the", out)
        self.assertRegex(out, r"dlib: not measured: there is no .*/include/dlib/dnn.h \(Debian's libdlib-dev, ")
        code, out, _ = self.compare("--convoy", self.convoy(), "--only", "jax")
        self.assertEqual(code, 0)  # Convoy's own times are left
        self.assertRegex(out, r"\nConvoy fp32 +4\.00 ")

    def test_peers_in_c_plus_plus_are_built_once(self) -> None:
        self.install("include/dlib/dnn.h")
        self.install_compiler()
        for _ in range(2):
            code, out, _ = self.compare("--convoy", self.convoy(), "--only", "dlib", "--assert", "dlib-fp32=5.7")
            self.assertEqual(code, 0)
            self.assertIn("dlib-fp32: Convoy is 5.75 times as fast as dlib 9.9", out)  # 30 - 2 - 5 over 4
        self.assertEqual(self.lines().count("compiler dlib_step.cpp"), 1)

    def test_libtorch_is_built_against_each_interpreters_torch(self) -> None:
        torch = self.system / "torch"
        self.install("torch/include/torch/csrc/api/include/torch/torch.h")
        self.install_compiler()
        self.python = self.program("python", INTERPRETER, modules={"torch": str(torch)}, last_loss=0.5)
        code, out, _ = self.compare("--convoy", self.convoy(), "--only", "libtorch")
        self.assertEqual(code, 0)
        self.assertIn("best-fp32: Convoy is 4.50 times as fast as libtorch 9.9", out)  # 30 - 4 - 2 - 1 - 5 over 4

    def test_worker_that_cannot_be_built_is_a_line(self) -> None:
        self.install("lib/darknet/include/darknet.h")
        self.install_compiler(code=1)
        code, out, _ = self.compare("--convoy", self.convoy(), "--only", "darknet")
        self.assertEqual(code, 0)
        self.assertIn("compiler: worker.cpp:7: error: no such thing\n", out)
        self.assertEqual(list((self.folder / "build").iterdir()), [])

    def test_what_does_not_lower_the_loss_is_left_out(self) -> None:
        self.python = self.program("python", INTERPRETER, modules={"torch": "/nowhere"}, last_loss=2.5)
        code, out, err = self.compare("--convoy", self.convoy(), "--assert", "classic=1")
        self.assertEqual(code, 2)
        self.assertIn("fp32+contiguous+default: left out, as the loss went from 2.5 to 2.5\n", out)
        self.assertIn("compare: --assert classic: not measured", err)

    def test_isa_limits_convoy_alone(self) -> None:
        code, out, _ = self.compare("--convoy", self.convoy(), "--isa", "avx2", "--only", "pytorch")
        self.assertEqual(code, 0)
        self.assertIn("Convoy fp32, AVX2: its convolutions alone take 2.50 ms", out)
        self.assertEqual(sum(line.startswith("convoy AVX2 ") for line in self.lines()), 2)  # once a round

    def test_slow_blas_is_noted(self) -> None:
        self.install("lib/any/blas/libblas.so.3", "lib/any/openblas-openmp/libblas.so.3")
        link = self.system / "lib/any/libblas.so.3"
        link.symlink_to("blas/libblas.so.3")
        self.assertIn("libopenblas0-openmp", catalog.blas_note() or "")
        link.unlink()
        link.symlink_to("openblas-openmp/libblas.so.3")
        self.assertIsNone(catalog.blas_note())

    def test_absent_convoy_is_one_clear_line(self) -> None:
        code, _, err = self.compare("--convoy", str(self.folder / "nowhere"))
        self.assertEqual(code, 2)
        self.assertRegex(err, r"^compare: no program at .*nowhere: build it first, or correct --convoy\n$")

    def test_failing_convoy_is_named(self) -> None:
        code, _, err = self.compare("--convoy", self.convoy("", code=1))
        self.assertEqual(code, 2)
        self.assertRegex(err, "^compare: .*convoy failed with exit code 1: no message\n$")

    def test_convoy_without_a_whole_bench_event_is_named(self) -> None:
        for output in ("", "4.0 ms", "[]", json.dumps({"event": "run"}), json.dumps({"event": "bench"})):
            with self.subTest(output=output), self.assertRaises(compare.CompareError):
                compare.Convoy(self.convoy(output), "fp32").run(steps=7, batch_size=100)

    def test_interpreter_that_does_not_run_is_one_clear_line(self) -> None:
        broken = self.program("broken", "#!{python} -IS\nraise SystemExit('no Python here')\n")
        code, _, err = self.compare("--python", broken, "--convoy", self.convoy())
        self.assertEqual(code, 2)
        self.assertRegex(err, r"^compare: .*broken failed with exit code 1: no Python here\n$")


class StepTimer(unittest.TestCase):
    def job(self, *variants: str, seconds: float = 60) -> step_timer.Job:
        return step_timer.Job(threads=1, steps=7, warmup=2, batch_size=4, seconds=seconds, variants=list(variants))

    def test_warmup_is_not_timed_and_losses_are_the_ends(self) -> None:
        losses = iter(range(100, 0, -1))
        result = step_timer.measure(lambda: next(losses), self.job("fp32"))
        self.assertEqual(len(result["seconds"]), 7)
        self.assertEqual(result["losses"], [100, 100 - 2 - 7 + 1])

    def test_slow_steps_end_early(self) -> None:
        result = step_timer.measure(lambda: 1.0, self.job("fp32", seconds=0))
        self.assertEqual(len(result["seconds"]), step_timer.LEAST_STEPS)

    def test_what_does_not_run_is_null(self) -> None:
        def make_step(job: step_timer.Job, words: frozenset[str]) -> step_timer.Step:
            if "bf16" in words:
                raise RuntimeError("no such type")
            return lambda: float(job.batch_size)

        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            step_timer.serve(self.job("fp32+a", "bf16+a"), "9.9", make_step)
        reply = json.loads(out.getvalue())
        self.assertEqual((reply["version"], reply["runs"][0]["losses"], reply["runs"][1]), ("9.9", [4, 4], None))
        self.assertEqual(err.getvalue(), "bf16+a: RuntimeError: no such type\n")


if __name__ == "__main__":
    unittest.main()
