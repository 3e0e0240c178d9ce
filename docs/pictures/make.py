#!/usr/bin/env python3
"""Makes the pictures of README.md, so that they show what is there.

    make.py architecture                                    from tests/rooms/check_rooms.py
    make.py session --convoy build/release/convoy --mnist data/mnist
    make.py report --page runs/convnet-mnist-1/report.html   needs Chromium
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import architecture
import browser
import screen_svg
import session

HERE = Path(__file__).resolve().parent


def write(name: str, content: str) -> None:
    (HERE / name).write_text(content, encoding="utf-8")
    print(f"wrote {HERE / name}")


def make_architecture(_: argparse.Namespace) -> None:
    write("architecture.svg", architecture.picture())


def make_session(arguments: argparse.Namespace) -> None:
    recording = session.record(arguments.convoy, arguments.mnist)
    write("session.svg", screen_svg.svg(recording, "convoy"))


def make_report(arguments: argparse.Namespace) -> None:
    found = browser.find()
    if found is None:
        raise RuntimeError(f"there is no Chromium: install one of {', '.join(browser.NAMES)}")
    browser.screenshot(found, arguments.page, HERE / "report.png", arguments.width, arguments.height)
    print(f"wrote {HERE / 'report.png'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    pictures = parser.add_subparsers(required=True)
    pictures.add_parser("architecture").set_defaults(make=make_architecture)
    command = pictures.add_parser("session")
    command.set_defaults(make=make_session)
    command.add_argument("--convoy", type=Path, default=Path("build/release/convoy"))
    command.add_argument("--mnist", type=Path, default=Path("data/mnist"), help="the folder of MNIST's four files")
    command = pictures.add_parser("report")
    command.set_defaults(make=make_report)
    command.add_argument("--page", type=Path, required=True)
    command.add_argument("--width", type=int, default=1200)
    command.add_argument("--height", type=int, default=1000)
    arguments = parser.parse_args()
    try:
        arguments.make(arguments)
    except (OSError, RuntimeError, ValueError) as error:
        sys.exit(f"make.py: {error}")


if __name__ == "__main__":
    main()
