"""The pages of the source tree: what they link to is there, and the program knows the flags that they name.

usage: pages_test.py CONVOY
"""

import functools
import re
import subprocess
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONVOY = sys.argv.pop(1)
PAGES = [page for page in [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md")), *sorted(ROOT.glob("*/README.md")),
                           *sorted(ROOT.glob("engine/**/README.md")), *sorted(ROOT.glob("tests/*/README.md"))]
         if not page.is_relative_to(ROOT / "build")]
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
# A command and what stands behind it, in a block or between backticks.
COMMAND = re.compile(r"(?:^|[\s`/])convoy ([a-z]+)((?:(?!convoy [a-z]|[`#\n]).)*)")
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")
TAKES_THE_FLAGS_OF_TRAIN = {"race"}
# A flag that stands alone between backticks, as in tables of flags, is the program's, but on pages about scripts
SCRIPTS = ("docker/", "profiling/", "tests/")
# and where it is said to be of another program or an older version.
OTHERS = {"--oversubscribe",  # Open MPI's
          "--settle",  # before --bn-batches
          "--images", "--trainings",  # kill_and_resume.py's
          "--repeats"}  # of cpu_loops


def anchor(heading):
    """As GitHub makes it."""
    text = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return text.replace(" ", "-")


def anchors(page):
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    return {anchor(heading) for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}


@functools.cache
def flags_of_any():
    told = subprocess.run([CONVOY, "--help"], capture_output=True, text=True, check=True).stdout
    subcommands = re.findall(r"^  ([a-z]+) ", told[told.index("Subcommands:"):], re.MULTILINE)
    return set(FLAG.findall(told)).union(*(flags_of(subcommand) or set() for subcommand in subcommands))


@functools.cache
def flags_of(subcommand):
    """None where there is no such subcommand."""
    told = subprocess.run([CONVOY, subcommand, "--help"], capture_output=True, text=True, check=False)
    return set(FLAG.findall(told.stdout)) if told.returncode == 0 else None


def code_of(page):
    """Blocks and what stands between backticks; words of the text around them are no commands."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    fenced = FENCE.findall(text)
    rest = FENCE.sub("", text)
    indented = re.findall(r"^ {4}\S.*$", rest, re.MULTILINE)
    return "\n".join([*fenced, *indented, *(f"`{code}`" for code in re.findall(r"`([^`\n]+)`", rest))])


class Pages(unittest.TestCase):
    def test_links_lead_somewhere(self):
        for page in PAGES:
            for match in LINK.finditer(FENCE.sub("", page.read_text(encoding="utf-8"))):
                target = match.group(1) or match.group(2)
                if re.match(r"[a-z]+:", target):
                    continue
                path, _, part = target.partition("#")
                file = (page.parent / path).resolve() if path else page
                with self.subTest(page=page.relative_to(ROOT).as_posix(), link=target):
                    self.assertTrue(file.exists(), "there is no such file")
                    if part and file.suffix == ".md":
                        self.assertIn(part, anchors(file))

    def test_the_program_knows_the_flags(self):
        seen = 0
        for page in PAGES:
            for subcommand, rest in COMMAND.findall(code_of(page)):
                known = flags_of(subcommand)
                used = set(FLAG.findall(rest))
                if known is None and not used:
                    continue  # "convoy" as a noun
                with self.subTest(page=page.relative_to(ROOT).as_posix(), command=f"convoy {subcommand}{rest}"):
                    self.assertIsNotNone(known, "there is no such subcommand")
                    if subcommand in TAKES_THE_FLAGS_OF_TRAIN:
                        known = known | flags_of("train")
                    self.assertLessEqual(used, known)
                    seen += len(used)
        self.assertGreater(seen, 100)

    def test_the_program_knows_the_flags_that_stand_alone(self):
        seen = 0
        for page in PAGES:
            name = page.relative_to(ROOT).as_posix()
            if name.startswith(SCRIPTS):
                continue
            for code in re.findall(r"`(--[^`\n]+)`", FENCE.sub("", page.read_text(encoding="utf-8"))):
                used = set(FLAG.findall(code)) - OTHERS
                with self.subTest(page=name, code=code):
                    self.assertLessEqual(used, flags_of_any())
                    seen += len(used)
        self.assertGreater(seen, 200)

    def test_every_flag_is_on_the_page_of_flags(self):
        named = set(FLAG.findall((ROOT / "apps/README.md").read_text(encoding="utf-8")))
        for flag in sorted(flags_of_any() - {"--help"}):
            other = flag.replace("--no-", "--") if flag.startswith("--no-") else flag.replace("--", "--no-", 1)
            with self.subTest(flag=flag):
                self.assertTrue({flag, other} & named)


if __name__ == "__main__":
    unittest.main()
