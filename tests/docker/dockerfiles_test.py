#!/usr/bin/env python3
"""The Dockerfiles as far as they can be tested without Docker: what they copy from the source tree is there and not
ignored, what they copy from a stage comes from one that they define, and the scripts that they run can be run."""

import fnmatch
import os
import re
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "docker").glob("Dockerfile*"))


def instructions(file):
    text = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", file.read_text(), flags=re.M))
    return [line.split(maxsplit=1) for line in text.splitlines() if line.strip()]


def ignored(path):
    patterns = (ROOT / ".dockerignore").read_text().split()
    return any(fnmatch.fnmatch(path, p) or path.startswith(p + "/") for p in patterns)


class Dockerfiles(unittest.TestCase):
    def test_copy_what_is_there(self):
        self.assertEqual([file.name for file in FILES], ["Dockerfile", "Dockerfile.cpu"])
        for file in FILES:
            stages = set()
            for name, rest in instructions(file):
                if name == "FROM" and " AS " in rest:
                    stages.add(rest.split(" AS ")[1])
                if name != "COPY":
                    continue
                *sources, _ = rest.split()
                if sources[0].startswith("--from="):
                    self.assertIn(sources[0].removeprefix("--from="), stages, file.name)
                    continue
                for source in sources:
                    self.assertTrue((ROOT / source).exists(), f"{file.name} copies {source}")
                    self.assertFalse(ignored(source), f"{source} is in .dockerignore")

    def test_run_scripts_that_can_be_run(self):
        for file in FILES:
            scripts = {s for name, rest in instructions(file) if name == "RUN" for s in re.findall(r"[\w./]+\.sh", rest)}
            self.assertEqual(scripts, {"cmake/setup.sh"})
            for script in scripts:
                self.assertTrue(os.access(ROOT / script, os.X_OK), script)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
