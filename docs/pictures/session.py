"""Runs the commands of the recorded session in a terminal of their own, and draws what they show."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import select
import shlex
import shutil
import struct
import subprocess
import tempfile
import termios
import time
from collections.abc import Callable
from pathlib import Path

from digit import write_digit
from screen_svg import Recording

COLUMNS = 96
PAUSE = 0.6  # seconds before and behind a command
# README.md has the same lines; tests/pictures runs them.
COMMANDS = [
    "build/release/convoy train --recipe mnist-99",
    "build/release/convoy predict --checkpoint runs/small-cnn-mnist-1/model.ckpt digit.png",
]


def prepare(folder: Path, convoy: Path, mnist: Path) -> None:
    """Makes of an empty folder what a checkout looks like after `make train`, with a picture of a digit in it."""
    (folder / "build" / "release").mkdir(parents=True)
    (folder / "build" / "release" / "convoy").symlink_to(convoy.resolve())
    (folder / "data").mkdir()
    (folder / "data" / "mnist").symlink_to(mnist.resolve())
    write_digit(mnist, folder / "digit.png")


def environment(folder: Path) -> dict[str, str]:
    """Nothing of the caller's that would show: no folder of data, no colours forbidden."""
    kept = {key: os.environ[key] for key in ("PATH", "LD_LIBRARY_PATH", "OMP_NUM_THREADS") if key in os.environ}
    return kept | {"TERM": "xterm-256color", "COLORTERM": "truecolor", "HOME": str(folder), "LANG": "C.UTF-8"}


def run(command: str, folder: Path, hear: Callable[[str], None]) -> int:
    """Runs it on a terminal; tells `hear` what it writes, as it writes it. Returns its exit code."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, COLUMNS, 0, 0))
    with subprocess.Popen(shlex.split(command), cwd=folder, env=environment(folder), stdin=slave, stdout=slave,
                          stderr=slave, start_new_session=True) as process:
        os.close(slave)
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        while True:
            select.select([master], [], [])
            try:
                data = os.read(master, 65536)
            except OSError:  # EIO: nobody has the other end any more
                data = b""
            if not data:
                break
            hear(decoder.decode(data))
        os.close(master)
    return process.returncode


def record(convoy: Path, mnist: Path) -> Recording:
    folder = Path(tempfile.mkdtemp(prefix="session"))
    try:
        prepare(folder, convoy, mnist)
        recording = Recording(COLUMNS)
        start = time.monotonic()
        for number, command in enumerate(COMMANDS):
            if number:
                start -= PAUSE
                recording.write("\r\n", time.monotonic() - start)
            recording.write(f"\x1b[90m$\x1b[0m {command}\r\n", time.monotonic() - start)
            start -= PAUSE
            code = run(command, folder, lambda text: recording.write(text, time.monotonic() - start))
            if code != 0:
                raise RuntimeError(f"`{command}` ended with exit code {code}:\n" + "\n".join(recording.screen.text()))
        return recording
    finally:
        shutil.rmtree(folder)
