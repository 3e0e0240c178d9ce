#!/usr/bin/env python3
"""manual_test.py PROGRAM FOLDER: the man pages in FOLDER are those of the program, complete, and without a warning of groff,
man and mandoc, whichever of these are here. Exit code 77: there is none of them."""
import re
import shutil
import subprocess
import sys
import unittest
from pathlib import Path

PROGRAM, FOLDER = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
CHECKS = {
    "groff": ["groff", "-man", "-ww", "-Tutf8", "-z"],
    "man": ["man", "--warnings", "--local-file"],
    # mandoc wants a date, which would make every build's pages others.
    "mandoc": ["mandoc", "-T", "lint", "-W", "warning"],
}


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def commands():
    text = run(PROGRAM, "--help").split("Subcommands:\n")[1].split("\n\n")[0]
    return re.findall(r"^  (\w+)", text, re.M)


class Manual(unittest.TestCase):
    def test_has_a_page_for_each_command(self):
        self.assertIn("train", commands())
        pages = {"convoy.1": run(PROGRAM, "manual")}
        pages.update({f"convoy-{name}.1": run(PROGRAM, "manual", name) for name in commands()})
        self.assertEqual({page.name: page.read_text() for page in FOLDER.iterdir()}, pages)

    def test_tells_what_help_tells(self):
        for name in commands():
            page = run(PROGRAM, "manual", name).replace("\\-", "-").replace("\\e", "\\")
            for flag in re.findall(r"^  (?:-h,)?(--[\w-]+)", run(PROGRAM, name, "--help"), re.M):
                self.assertIn(f"\\fB{flag}\\fR", page, name)
            for section in ("NAME", "SYNOPSIS", "OPTIONS", "EXAMPLES", '"EXIT STATUS"', '"SEE ALSO"'):
                self.assertIn(f"\n.SH {section}\n", page, name)
        page = run(PROGRAM, "manual", "train")
        self.assertIn("\\fB\\-\\-schedule\\fR \\fI{constant,linear,step,multi\\-step,", page)
        self.assertIn("The default is \\fB100\\fR.", page)
        self.assertIn(".SS CUDA\n", page)

    def test_shows_no_request(self):
        for name in commands():
            for line in run(PROGRAM, "manual", name).splitlines():
                if line.startswith("."):
                    self.assertRegex(line, r"^\.(TH|SH|SS|TP|br|nh|ad|EX|EE)\b", name)

    def test_has_no_character_that_troff_changes(self):
        for name in commands():  # an apostrophe would become a closing quotation mark, and a tilde an accent
            self.assertNotRegex(run(PROGRAM, "manual", name), r"[`'^~]|[^\\]-", name)
        self.assertIn("\\(ti/.zfunc", run(PROGRAM, "manual", "completion"))

    @unittest.skipUnless(shutil.which("groff"), "there is no groff")
    def test_shows_examples_as_they_are_typed(self):
        for name in commands():
            examples = re.findall(r"^  (convoy .*)", run(PROGRAM, name, "--help").split("\nExamples:\n")[1], re.M)
            self.assertTrue(examples, name)
            shown = run("groff", "-man", "-Tutf8", "-P-cbou", "-rLL=400n", FOLDER / f"convoy-{name}.1")
            for example in examples:
                self.assertIn(example, shown)

    def test_no_program_warns(self):
        for name, check in CHECKS.items():
            if not shutil.which(name):
                print(f"not checked: there is no {name}")
                continue
            for page in sorted(FOLDER.iterdir()):
                done = subprocess.run(check + [page], capture_output=True, text=True, timeout=60)
                told = done.stderr if name != "mandoc" else done.stdout + done.stderr
                told = "\n".join(line for line in told.splitlines() if "missing date" not in line)
                self.assertEqual(told, "", f"{name} {page.name}")

    def test_refuses(self):
        for arguments in (["nothing"], ["train", "--out", "/tmp/never"]):
            done = subprocess.run([PROGRAM, "manual", *arguments], capture_output=True, text=True)
            self.assertEqual(done.returncode, 2)
            self.assertEqual(len(done.stderr.splitlines()), 1)


if __name__ == "__main__":
    program = unittest.main(argv=sys.argv[:1], exit=False)
    if program.result.wasSuccessful() and not any(map(shutil.which, CHECKS)):
        print("skipped: there is no", ", no ".join(CHECKS))
        sys.exit(77)
    sys.exit(not program.result.wasSuccessful())
