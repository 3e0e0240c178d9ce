"""race.py with stand-ins for Convoy and PyTorch: no clock involved."""

from __future__ import annotations

import contextlib
import io
import json
import sys
import tempfile
import unittest
from pathlib import Path

BENCH = Path(__file__).resolve().parents[2] / "profiling" / "bench"
sys.path[:0] = [str(BENCH)]

import race  # noqa: E402  (its folder must be on the path first)
import race_table  # noqa: E402

# Takes the place of convoy: seed s reaches 98 + s % in s seconds. Its recipe "fast" is of SGD; a file is its text.
CONVOY = """#!{python} -IS
import json, os, sys
with open({log!r}, "a") as log:
    print("convoy", *sys.argv[1:], file=log)
value = dict(zip(sys.argv, sys.argv[1:]))
if "--lr=-1" in sys.argv:
    sys.exit("convoy: error: --lr: '-1' is not a finite number above 0")
if "--print-config" in sys.argv:
    print("# Seed\\nseed = 1\\nlog-every = 100\\n# patience =\\ncutout = 0\\nmodel = 'a \\"b\\"'")
    if "--recipe" in sys.argv:
        print('optimizer = "sgd"\\nmomentum = 0.9')
    if "--config" in sys.argv:
        print(open(value["--config"]).read())
    for key in ("shift", "flip", "precision", "test-every"):
        if "--" + key in sys.argv:
            print(key, "=", json.dumps(value["--" + key]) if key in ("flip", "precision") else value["--" + key])
    sys.exit(0)
out, seed = value["--out"], int(value["--seed"])
os.makedirs(out)
with open(out + "/run.json", "w") as file:
    json.dump(dict(data="/data", dataset="mnist", device="cpu", device_description="a CPU, 2 threads, oneDNN",
                   swa=True, bn_batches=50, preparation=dict(mean=[0.5], std=[0.25])), file)
with open(out + "/model.json", "w") as file:
    json.dump(dict(name="m", layers=[]), file)
print(json.dumps(dict(event="run")))
print(json.dumps(dict(event={event!r}, accuracy=(98 + seed) / 100, training_seconds=seed, images=1000)))
"""

# Takes the place of an interpreter with PyTorch: three times as slow, and less accurate by {behind} %. Fails for some
# seeds.
PYTHON = """#!{python} -IS
import json, os, sys
with open({log!r}, "a") as log:
    job = json.load(open(sys.argv[2]))
    print("python", os.path.basename(sys.argv[1]), json.dumps(job), file=log)
if job["seed"] in {fails}:
    sys.exit("ModuleNotFoundError: No module named 'torch'")
print(json.dumps(dict(version="9.9", setting="channels_last+fused", accuracy=(98 + job["seed"] - {behind}) / 100,
                      training_seconds=3 * job["seed"], images=1000)))
"""


class Race(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.log = self.folder / "log"

    def program(self, name: str, text: str, **values: object) -> str:
        path = self.folder / name
        path.write_text(text.format(python=sys.executable, log=str(self.log), **values), encoding="utf-8")
        path.chmod(0o755)
        return str(path)

    def race(self, *arguments: str, fails: tuple[int, ...] = (), behind: float = 0,
             event: str = "done") -> tuple[int, str, str]:
        """Exit code, stdout, stderr."""
        out, err = io.StringIO(), io.StringIO()
        convoy = self.program("convoy", CONVOY, event=event)
        python = self.program("python", PYTHON, fails=fails, behind=behind)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = race.main(["--convoy", convoy, "--python", python, *arguments])
        return code, out.getvalue(), err.getvalue()

    def lines(self) -> list[str]:
        return self.log.read_text(encoding="utf-8").splitlines()

    def jobs(self) -> list[dict[str, object]]:
        return [json.loads(line.split(" ", 2)[2]) for line in self.lines() if line.startswith("python")]

    def test_both_take_turns_and_are_compared(self) -> None:
        code, out, err = self.race("--seeds", "1-2", "--to", "99", "--", "--shift", "2", "--flip", "alternating")
        self.assertEqual((code, err), (0, ""))
        self.assertEqual([line.split()[0] for line in self.lines()], ["convoy"] + ["convoy", "python"] * 2)
        self.assertEqual(self.lines()[0], "convoy train --shift 2 --flip alternating --print-config")
        self.assertIn("train --shift 2 --flip alternating --seed 1 --out ", self.lines()[1])
        self.assertTrue(self.lines()[1].endswith(" --json --no-report --stop-at 99.0"))
        # 99 and 100 %: a standard deviation of sqrt(1/2), over sqrt(2), times 12.706.
        self.assertRegex(out, r"\nConvoy +99\.50 \+- 6\.35 +1\.50 \+- 6\.35 +1000\n")
        self.assertRegex(out, r"\nPyTorch 9\.9, channels_last\+fused +99\.50 \+- 6\.35 +4\.50 \+- 19\.06 +1000\n")
        self.assertIn("\n2 seeds, each until 99.0 % or to its end\n", out)
        self.assertIn("Convoy is 3.00 times as fast (median of the seeds' ratios, 3.00 .. 3.00)", out)
        self.assertIn("the intervals of the accuracies overlap\n", out)
        first, second = self.jobs()
        self.assertEqual(first["recipe"], {"cutout": 0, "shift": 2, "flip": "alternating"})
        self.assertEqual((first["setting"], second["setting"]), (None, "channels_last+fused"))
        self.assertEqual((first["mean"], first["std"], first["swa"], first["bn_batches"]), ([0.5], [0.25], True, 50))
        self.assertEqual((first["to"], first["test_every"], first["threads"]), (99.0, 0, 2))

    def test_another_accuracy_is_told(self) -> None:
        _, out, _ = self.race("--seeds", "1-3", behind=10)
        self.assertIn("\n3 seeds\n", out)
        self.assertIn("the intervals of the accuracies do NOT overlap\n", out)
        _, out, _ = self.race("--seeds", "1", behind=10)
        self.assertIn("\n1 seed\n", out)
        self.assertIn("one seed does not tell whether the accuracies are the same\n", out)

    def test_a_recipe_is_what_convoy_prints_and_flags_override_it(self) -> None:
        code, _, err = self.race("--seeds", "1", "--recipe", "fast", "--", "--shift", "1")
        self.assertEqual((code, err), (0, ""))
        self.assertEqual(self.lines()[0], "convoy train --recipe fast --shift 1 --print-config")
        self.assertIn("train --recipe fast --shift 1 --seed 1", self.lines()[1])
        self.assertFalse("--stop-at" in self.lines()[1])
        self.assertEqual(self.jobs()[0]["recipe"], {"cutout": 0, "optimizer": "sgd", "momentum": 0.9, "shift": 1})

    def file(self, text: str) -> str:
        path = self.folder / "recipe.toml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    def test_a_file_may_have_only_what_pytorch_does_as_well(self) -> None:
        for text, message in (('wonder = 8', "the PyTorch side has no 'wonder' (here 8): leave it out of the recipe"),
                              ('flip = "upwards"', "the PyTorch side does not know 'flip = upwards'"),
                              ('padding = "wrap"', "the PyTorch side does not know 'padding = wrap'"),
                              ('optimizer = "lion"', "the PyTorch side does not know 'optimizer = lion'"),
                              ('sync-bn = true', "the PyTorch side has no 'sync-bn' (here True)"),
                              ('patience = 3', "'patience' cannot be part of a race"),
                              ('init = "a.ckpt"', "'init' cannot be part of a race")):
            with self.subTest(text=text):
                code, out, err = self.race("--recipe", self.file(text))
                self.assertEqual((code, out), (2, ""))
                self.assertTrue(err.startswith("race: " + message), err)
                self.assertEqual(len(err.splitlines()), 1)

    def test_flips_have_one_name_each(self) -> None:
        for text, flip in (('""', "random"), ('"random"', "random"), ("true", "random"), ('"true"', "random"),
                           ('"alternating"', "alternating"), ("false", "none"), ('"false"', "none")):
            with self.subTest(text=text):
                self.log.unlink(missing_ok=True)
                self.race("--recipe", self.file(f"flip = {text}\n[recipe]\nreaches = 1"), "--seeds", "1")
                self.assertEqual(self.jobs()[0]["recipe"]["flip"], flip)
                self.assertNotIn("reaches", self.jobs()[0]["recipe"])

    def test_a_recipe_may_say_where_it_ends(self) -> None:
        code, out, _ = self.race("--seeds", "1", "--recipe", self.file("stop-at = 98.5\ntest-every = 7"))
        self.assertEqual(code, 0)
        self.assertIn("until 98.5 %", out)
        self.assertEqual((self.jobs()[0]["to"], self.jobs()[0]["test_every"]), (98.5, 7))

    def test_without_pytorch_convoy_is_left(self) -> None:
        code, out, err = self.race("--seeds", "1-2", fails=(1, 2))
        self.assertEqual((code, err), (0, ""))
        self.assertIn("PyTorch: not measured: ", out)
        self.assertIn("No module named 'torch'\n", out)
        self.assertRegex(out, r"\n2 seeds\n.*\nConvoy +99\.50")
        self.assertNotIn("times as fast", out)
        code, _, err = self.race("--seeds", "1-2", "--require-pytorch", fails=(2,))
        self.assertEqual(code, 2)
        self.assertRegex(err, "^race: .*No module named 'torch'\n$")

    def test_only_the_seeds_of_both_are_compared(self) -> None:
        code, out, _ = self.race("--seeds", "1-3", fails=(1,))
        self.assertEqual(code, 0)
        self.assertIn("\n2 seeds of 3, those that both have trained\n", out)
        # 100 and 101 % in 2 and 3 s; of seeds 1 and 2 against 2 and 3 the ratios would be 6 and 4.5.
        self.assertRegex(out, r"\nConvoy +100\.50 \+- 6\.35 +2\.50 \+- 6\.35")
        self.assertIn("3.00 times as fast (median of the seeds' ratios, 3.00 .. 3.00)", out)

    def test_what_cannot_be_is_one_clear_line(self) -> None:
        for flags, message in ((["--seed", "3"], "--seed cannot stand behind --: the race has --recipe, --seeds and"),
                               (["--stop-at=9"], "--stop-at cannot stand behind --"),
                               (["--resume", "x"], "--resume cannot stand behind --: each seed is a training"),
                               (["--precision", "bf16"], "the PyTorch side does not know 'precision = bf16'"),
                               (["--lr=-1"], "'-1' is not a finite number above 0")):
            with self.subTest(flags=flags):
                code, _, err = self.race("--", *flags)
                self.assertEqual(code, 2)
                self.assertEqual(len(err.splitlines()), 1)
                self.assertIn(message, err)
        self.assertRegex(self.race(event="epoch")[2], "ended without a complete 'done' event\n$")
        self.assertRegex(self.race("--convoy", "/nowhere")[2], "^race: no program at /nowhere: build it first")
        for wrong in (["--seeds", "2-1"], ["--seeds", "x"], ["--seeds", "1-1000000000"],
                      ["--seeds", "1-99999999999999999999999"], ["--to", "101"]):
            with self.subTest(wrong=wrong), self.assertRaises(SystemExit) as raised:
                self.race(*wrong)
            self.assertEqual(raised.exception.code, 2)

    def test_student_t_is_that_of_the_tables(self) -> None:
        for degrees, t in ((1, 12.70620), (2, 4.30265), (9, 2.26216), (30, 2.04227)):
            self.assertAlmostEqual(race_table.student_t_95(degrees), t, delta=0.5e-5)


if __name__ == "__main__":
    unittest.main()
