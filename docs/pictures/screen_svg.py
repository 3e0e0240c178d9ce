"""A recorded session as an SVG that plays once and then stays. What does not animate shows the end."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from itertools import groupby

from screen import Cell, Screen, Style

CELL_WIDTH, ROW_HEIGHT, FONT_SIZE = 8.4, 20, 14
PADDING, BAR = 18, 34  # around the text; the window's upper edge
INK, DIM, PAPER, EDGE = "#d5dbe3", "#8b949e", "#161b22", "#30363d"
# Blocks are drawn, because a font may leave gaps between them: their part of the cell from above, and its height.
BLOCKS = {"█": (0.0, 1.0), "▀": (0.0, 0.5), "▄": (0.5, 0.5)}

STYLE = """
text { font: %dpx ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; white-space: pre; }
.bold { font-weight: 700; fill: #ffffff; }
.dim { opacity: 0.65; }
.gone { opacity: 0; }
@keyframes not-yet { from, to { opacity: 0; } }
@keyframes for-now { from, to { opacity: 1; } }
@media (prefers-reduced-motion: reduce) { g { animation: none !important; } }
""" % FONT_SIZE


@dataclass(frozen=True)
class Shown:
    """One look of a row, from a second of the session on to another; None: to the end."""
    row: int
    cells: tuple[Cell, ...]
    begin: float
    end: float | None


class Recording:
    """The looks of all rows, as a session is written."""

    def __init__(self, columns: int):
        self.screen = Screen(columns)
        self._now: dict[int, tuple[tuple[Cell, ...], float]] = {}
        self._past: list[Shown] = []

    def write(self, text: str, second: float) -> None:
        self.screen.write(text)
        rows = [tuple(row) for row in self.screen.rows]
        for number in range(max(len(rows), len(self._now))):
            cells = rows[number] if number < len(rows) else ()
            before, since = self._now.get(number, ((), second))
            if cells != before:
                if before and second > since:
                    self._past.append(Shown(number, before, since, second))
                self._now[number] = (cells, second)

    def shown(self) -> list[Shown]:
        last = [Shown(row, cells, since, None) for row, (cells, since) in self._now.items() if cells]
        return sorted(self._past + last, key=lambda look: (look.row, look.begin))


def number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def rectangle(column: int, width: int, part: tuple[float, float], colour: str) -> str:
    # A row's blocks begin where the row above ends, so that pictures have no stripes.
    top = -ROW_HEIGHT * 0.72 + part[0] * ROW_HEIGHT
    return (f'<rect x="{number(column * CELL_WIDTH)}" y="{number(top)}" width="{number(width * CELL_WIDTH)}" '
            f'height="{number(part[1] * ROW_HEIGHT)}" fill="{colour}" shape-rendering="crispEdges"/>')


def words(text: str, column: int, style: Style) -> str:
    kinds = " ".join(name for name in ("bold", "dim") if getattr(style, name))
    attributes = f' class="{kinds}"' if kinds else ""
    attributes += f' style="fill:{style.ink}"' if style.ink else ""
    return (f'<text x="{number(column * CELL_WIDTH)}"{attributes} textLength="{number(len(text) * CELL_WIDTH)}" '
            f'lengthAdjust="spacingAndGlyphs">{escape(text)}</text>')


def drawn(cells: tuple[Cell, ...]) -> str:
    """One row, whose base line is at 0."""
    parts = []
    column = 0
    for (style, block), group in groupby(cells, lambda cell: (cell.style, cell.text in BLOCKS and cell.text)):
        text = "".join(cell.text for cell in group)
        if style.paper:
            parts.append(rectangle(column, len(text), (0.0, 1.0), style.paper))
        if block:
            parts.append(rectangle(column, len(text), BLOCKS[block], style.ink or INK))
        elif text.strip():
            begin = len(text) - len(text.lstrip())
            parts.append(words(text.strip(), column + begin, style))
        column += len(text)
    return "".join(parts)


def animation(look: Shown) -> str:
    """Hidden until it begins; what ends before the session is only seen while it lasts."""
    if look.end is not None:
        return (f' class="gone" style="animation: for-now {number(look.end - look.begin)}s linear '
                f'{number(look.begin)}s"')
    return f' style="animation: not-yet {number(look.begin)}s linear"' if look.begin > 0 else ""


def svg(recording: Recording, title: str) -> str:
    rows = recording.screen.text()
    while rows and not rows[-1]:
        rows.pop()
    width = recording.screen.columns * CELL_WIDTH + 2 * PADDING
    height = len(rows) * ROW_HEIGHT + 2 * PADDING + BAR - ROW_HEIGHT / 2
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {number(width)} {number(height)}" '
        f'width="{number(width)}" height="{number(height)}" xml:space="preserve" role="img">',
        f"<title>{escape(title)}</title>",
        f"<desc>{escape(chr(10).join(rows))}</desc>",
        f"<style>{STYLE}</style>",
        f'<rect x="0.5" y="0.5" width="{number(width - 1)}" height="{number(height - 1)}" rx="9" fill="{PAPER}" '
        f'stroke="{EDGE}"/>',
        *(f'<circle cx="{PADDING + 18 * i}" cy="{BAR / 2 + 2}" r="5.5" fill="{EDGE}"/>' for i in range(3)),
        f'<text x="{number(width / 2)}" y="{BAR / 2 + 7}" fill="{DIM}" text-anchor="middle">{escape(title)}</text>',
        f'<g fill="{INK}" transform="translate({PADDING} {BAR + PADDING})">',
    ]
    for look in recording.shown():
        content = drawn(look.cells)
        if content:
            lines.append(f'<g{animation(look)}><g transform="translate(0 {look.row * ROW_HEIGHT})">{content}</g></g>')
    return "\n".join([*lines, "</g>", "</svg>"]) + "\n"
