#!/usr/bin/env python3
"""completion_test.py PROGRAM FOLDER: what bash, zsh and fish complete by the scripts that the program prints.

bash's function is called as bash calls it, and zsh and bash are also typed to, in a terminal. Exit code 77: bash is right,
and a shell that is missing here is named. FOLDER has the scripts as they are installed.
"""
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

PROGRAM, INSTALLED = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
ROOT = Path(__file__).resolve().parents[2]
MODELS = {"convnet", "lenet5", "vgg-small", "resnet9"}


def run(*command, **options):
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60, **options).stdout


def script(shell):
    return run(PROGRAM, "completion", shell)


class Screen:
    """A shell in a terminal."""

    def __init__(self, *command, **environment):
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.execvpe(command[0], command, {**os.environ, "TERM": "dumb", "PS1": "> ", **environment})

    def type(self, text, wanted):
        """What the screen shows after `text`, once `wanted` is there, or after a while."""
        os.write(self.terminal, text.encode())
        shown, end = "", time.monotonic() + 30
        while wanted not in shown and time.monotonic() < end:
            if select.select([self.terminal], [], [], 0.2)[0]:
                shown += os.read(self.terminal, 4096).decode(errors="replace").replace("\a", "")
        return shown

    def close(self):
        os.close(self.terminal)
        os.waitpid(self.pid, 0)


class Folder(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        for name in ("runs", "data sets"):
            (self.folder / name).mkdir()
        (self.folder / "model.ckpt").touch()
        (self.folder / "tiny net.json").touch()


class Bash(Folder):
    def complete(self, *words):
        """What bash offers for the last of the words."""
        (self.folder / "convoy.bash").write_text(script("bash"))
        call = ('source ./convoy.bash; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _convoy; '
                'printf "%s\\n" "${COMPREPLY[@]}"')
        offered = run("bash", "--norc", "-c", call, "bash", "convoy", *words, cwd=self.folder).splitlines()
        return {word for word in offered if word and word != "convoy.bash"}

    def test_commands(self):
        self.assertEqual(self.complete("tr"), {"train"})
        listed = run(PROGRAM, "--help").split("Subcommands:\n")[1].split("\n\n")[0]
        self.assertEqual(self.complete(""), set(re.findall(r"^  (\w+)", listed, re.M)))
        self.assertEqual(self.complete("--v"), {"--version"})
        self.assertEqual(self.complete("manual", "ev"), {"eval"})
        self.assertEqual(self.complete("completion", ""), {"bash", "zsh", "fish"})

    def test_flags(self):
        self.assertEqual(self.complete("train", "--sch"), {"--schedule", "--schedule-by", "--schedule-length"})
        self.assertEqual(self.complete("train", "--epochs", "3", "--no-f"), {"--no-fuse"})
        self.assertEqual(self.complete("doctor", "--l"), {"--library-path"})

    def test_values(self):
        self.assertEqual(self.complete("train", "--device", "c"), {"cuda", "cpu"})
        self.assertEqual(self.complete("train", "--schedule", "ex"), {"exponential"})
        self.assertEqual(self.complete("train", "--schedule", "=", "ex"), {"exponential"})
        self.assertEqual(self.complete("train", "--precision", "="), {"fp32", "tf32", "bf16"})
        self.assertLessEqual(MODELS | {"tiny net.json"}, self.complete("train", "--model", ""))
        self.assertLessEqual({"mnist", "idx"}, self.complete("eval", "--dataset", ""))
        self.assertLessEqual({"classic", "mnist-99"}, self.complete("train", "--recipe", ""))
        self.assertEqual(self.complete("bench", "--plan", "h1"), {"h100"})
        self.assertEqual(self.complete("train", "--lr", ""), set())
        self.assertEqual(self.complete("fetch", ""), {"mnist", "fashion-mnist", "kmnist", "cifar10", "cifar100"})
        self.assertIn("qmnist", self.complete("train", "--dataset", "q"))

    def test_files_and_folders(self):
        self.assertEqual(self.complete("eval", "--checkpoint", "mod"), {"model.ckpt"})
        self.assertEqual(self.complete("train", "--out", ""), {"runs", "data sets"})
        self.assertEqual(self.complete("train", "--resume", "r"), {"runs"})
        self.assertEqual(self.complete("train", "--plan-cache", ""), {"runs", "data sets"})
        self.assertEqual(self.complete("predict", "--checkpoint", "model.ckpt", "ti"), {"tiny net.json"})

    def test_every_flag_of_every_command(self):
        for command in self.complete(""):
            help_text = run(PROGRAM, command, "--help")
            for flag in self.complete(command, "-"):
                self.assertIn(flag, help_text, command)

    def test_in_a_terminal(self):
        (self.folder / "convoy.bash").write_text(script("bash"))
        screen = Screen("bash", "--norc", "-i")
        self.addCleanup(screen.close)
        screen.type(f"cd {self.folder}; source ./convoy.bash; echo rea''dy\n", "ready")
        self.assertIn("convoy train ", screen.type("convoy tr\t", "convoy train "))
        self.assertIn("--schedule", screen.type("--sch\t", "--schedule"))
        self.assertIn("convoy train --device cuda ", screen.type("\x15convoy train --device cu\t", "cuda "))

    def test_script_is_sound(self):
        run("bash", "-n", input=script("bash"))
        if shutil.which("shellcheck"):
            run("shellcheck", "--shell=bash", "-", input=script("bash"))


class Zsh(Folder):
    def setUp(self):
        super().setUp()
        (self.folder / "_convoy").write_text(script("zsh"))
        self.screen = Screen("zsh", "-f", "-i", HOME=str(self.folder))
        self.addCleanup(self.screen.close)
        ready = f"cd {self.folder}; fpath=($PWD $fpath); autoload -U compinit; compinit -u -D; LISTMAX=999; echo rea''dy\n"
        self.screen.type(ready, "ready")

    def test_completes(self):
        for typed, wanted in (("tr\t", "convoy train "), ("train --sch\t", "--schedule"), ("train --device cu\t", "cuda "),
                              ("train --data ru\t", "runs/"), ("eval --checkpoint mo\t", "model.ckpt"),
                              ("train --model le\t", "lenet5"), ("bench --plan h1\t", "h100"), ("fetch ci\t", "cifar")):
            with self.subTest(typed=typed):
                self.assertIn(wanted, self.screen.type("\x15convoy " + typed, wanted))

    def test_lists(self):
        shown = self.screen.type("\x15convoy train --device c\t\t", "cuda")
        shown += self.screen.type("\t", "cpu")
        self.assertIn("cuda", shown)
        self.assertIn("cpu", shown)

    def test_script_is_sound(self):
        run("zsh", "-n", self.folder / "_convoy")


class Fish(Folder):
    def complete(self, line):
        (self.folder / "convoy.fish").write_text(script("fish"))
        offered = run("fish", "--no-config", "-c", f"source convoy.fish; complete -C '{line}'", cwd=self.folder,
                      env={**os.environ, "HOME": str(self.folder)})
        return {word.split("\t")[0] for word in offered.splitlines()}

    def test_completes(self):
        self.assertEqual(self.complete("convoy tr"), {"train"})
        self.assertEqual(self.complete("convoy train --sch"), {"--schedule", "--schedule-by", "--schedule-length"})
        self.assertEqual(self.complete("convoy train --device c"), {"cuda", "cpu"})
        self.assertEqual(self.complete("convoy train --data ru"), {"runs/"})
        self.assertEqual(self.complete("convoy eval --checkpoint mod"), {"model.ckpt"})
        self.assertLessEqual(MODELS, self.complete("convoy train --model "))
        self.assertIn("cifar10", self.complete("convoy fetch ci"))
        self.assertEqual(self.complete("convoy manual tra"), {"train"})


class Installed(unittest.TestCase):
    def test_files_are_the_scripts(self):
        for name, shell in (("convoy", "bash"), ("_convoy", "zsh"), ("convoy.fish", "fish")):
            self.assertEqual((INSTALLED / name).read_text(), script(shell))

    def test_another_shell_is_refused(self):
        refused = subprocess.run([PROGRAM, "completion", "tcsh"], capture_output=True, text=True)
        self.assertEqual(refused.returncode, 2)
        self.assertIn("tcsh", refused.stderr)


if __name__ == "__main__":
    missing = [shell for shell in ("zsh", "fish") if not shutil.which(shell)]
    tests = [Bash, Installed] + [case for case, shell in ((Zsh, "zsh"), (Fish, "fish")) if shell not in missing]
    load = unittest.defaultTestLoader.loadTestsFromTestCase
    result = unittest.TextTestRunner(verbosity=2).run(unittest.TestSuite(load(test) for test in tests))
    if result.wasSuccessful() and missing:
        print("skipped: there is no", " and no ".join(missing))
        sys.exit(77)
    sys.exit(not result.wasSuccessful())
