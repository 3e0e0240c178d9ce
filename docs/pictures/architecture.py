"""The rooms of the source tree as a picture, from the list that tests/rooms/check_rooms.py holds every include to."""

from __future__ import annotations

import importlib.util
from html import escape
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]

# What a room is for, and which libraries compute for it or connect its processes.
ROOMS = {
    "engine/core": ("shapes, random numbers, schedules, atomic files", ""),
    "engine/parallel": ("processes that train together", "MPI"),
    "engine/model": ("layers, shapes, names, initial values", ""),
    "engine/data": ("data sets as bytes, the order of batches", ""),
    "kernels": ("CUDA kernels; arithmetic that host and device share", "CUDA"),
    "engine/backend": ("what a device can do, pure virtual", ""),
    "engine/backend/cuda/dnn": ("graphs, plans and their cache", "cuDNN"),
    "engine/backend/reference": ("plain loops, sums in double", ""),
    "engine/backend/cpu": ("primitives and vector loops", "oneDNN, Highway"),
    "engine/backend/cuda": ("layers, captured steps", "CUDA, cuBLASLt, NCCL"),
    "engine/backend/registry": ("which backends there are", ""),
    "engine/train": ("network, training step, trainer, evaluation", ""),
    "engine/io": ("checkpoints", ""),
    "include/convoy/convoy": ("the public interface: one header includes all", ""),
    "apps": ("the program, its recipes, the examples", ""),
}

WIDTH, LEFT = 960, 44  # LEFT: the column of the floors' numbers
BOX_HEIGHT, GAP = 52, 8

STYLE = """
text { font-family: system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; font-size: 12.5px; fill: #57606a; }
.room { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: 13px;
        font-weight: 700; fill: #1f2328; }
.library { fill: #0a5dab; text-anchor: end; }
.floor { text-anchor: middle; font-variant-numeric: tabular-nums; }
rect { fill: #f6f8fa; stroke: #d0d7de; }
.outside { fill: #ddf4ff; stroke: #9fd0f0; }
.paper { fill: #ffffff; stroke: none; }
@media (prefers-color-scheme: dark) {
  text { fill: #9198a1; }
  .room { fill: #f0f6fc; }
  .library { fill: #79c0ff; }
  rect { fill: #161b22; stroke: #3d444d; }
  .outside { fill: #0c2d4a; stroke: #1f5a8c; }
  .paper { fill: #0d1117; stroke: none; }
}
"""


def check_rooms(root: Path = ROOT) -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_rooms", root / "tests" / "rooms" / "check_rooms.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def title_of(room: str) -> str:
    """A single header that stands above its folder is a room, too."""
    if (ROOT / room).is_dir():
        return f"{room}/"
    header = ROOT / f"{room}.h"
    return f"{room}.h" if header.exists() else room


def box(room: str, left: float, top: float, width: float) -> list[str]:
    purpose, library = ROOMS[room]
    kind = ' class="outside"' if library else ""
    lines = [
        f'<rect x="{left:.1f}" y="{top}" width="{width:.1f}" height="{BOX_HEIGHT}" rx="6"{kind}/>',
        f'<text class="room" x="{left + 14:.1f}" y="{top + 22}">{escape(title_of(room))}</text>',
        f'<text x="{left + 14:.1f}" y="{top + 41}">{escape(purpose)}</text>',
    ]
    if library:
        lines.append(f'<text class="library" x="{left + width - 14:.1f}" y="{top + 41}">{escape(library)}</text>')
    return lines


def svg(floors: list[list[str]]) -> str:
    """Raises ValueError where rooms and descriptions differ."""
    rooms = {room for floor in floors for room in floor}
    if rooms != ROOMS.keys():
        raise ValueError(f"rooms without a description: {sorted(rooms - ROOMS.keys())}; "
                         f"descriptions without a room: {sorted(ROOMS.keys() - rooms)}")
    height = 2 * GAP + len(floors) * (BOX_HEIGHT + GAP) + 26
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        'role="img">',
        "<title>The rooms of Convoy's source tree, floor by floor</title>",
        f"<style>{STYLE}</style>",
        f'<rect class="paper" width="{WIDTH}" height="{height}" rx="8"/>',
    ]
    for number, floor in reversed(list(enumerate(floors, start=1))):
        top = GAP + (len(floors) - number) * (BOX_HEIGHT + GAP)
        lines.append(f'<text class="floor" x="{LEFT / 2}" y="{top + BOX_HEIGHT / 2 + 5:.1f}">{number}</text>')
        width = (WIDTH - LEFT - GAP - (len(floor) - 1) * GAP) / len(floor)
        for place, room in enumerate(floor):
            lines += box(room, LEFT + place * (width + GAP), top, width)
    lines.append(f'<text x="{LEFT}" y="{height - 16}">A room includes headers of rooms on lower floors only. '
                 "Blue: the libraries that compute, or that connect processes.</text>")
    return "\n".join([*lines, "</svg>"]) + "\n"


def picture() -> str:
    return svg(check_rooms().FLOORS)
