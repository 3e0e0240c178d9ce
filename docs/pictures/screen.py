"""What a terminal shows of a program's output: rows of cells with colours. It knows the sequences that `convoy` writes."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

# The sixteen named colours, then 6 x 6 x 6, then greys, as xterm has them.
NAMED = ["#1c2128", "#f47067", "#57ab5a", "#c69026", "#539bf5", "#b083f0", "#39c5cf", "#adbac7",
         "#768390", "#ff938a", "#6bc46d", "#daaa3f", "#6cb6ff", "#dcbdfb", "#56d4dd", "#ffffff"]
LEVELS = [0, 95, 135, 175, 215, 255]

# CSI with its parameters and its letter, OSC, or any other two-character escape.
ESCAPE = re.compile(r"\x1b(?:\[([0-9;?]*)([@-~])|\][^\x07\x1b]*(?:\x07|\x1b\\)|[^\[\]])")


@dataclass(frozen=True)
class Style:
    ink: str | None = None  # a colour as SVG has it; None is the terminal's own
    paper: str | None = None
    bold: bool = False
    dim: bool = False


@dataclass(frozen=True)
class Cell:
    text: str = " "
    style: Style = Style()


def indexed(number: int) -> str:
    if number < 16:
        return NAMED[number]
    if number < 232:
        number -= 16
        red, green, blue = LEVELS[number // 36], LEVELS[number // 6 % 6], LEVELS[number % 6]
    else:
        red = green = blue = 8 + 10 * (number - 232)
    return f"#{red:02x}{green:02x}{blue:02x}"


def extended(numbers: list[int]) -> str:
    """The colour behind a 38 or 48; takes its numbers away."""
    kind = numbers.pop(0)
    if kind == 5:
        return indexed(numbers.pop(0))
    if kind == 2:
        red, green, blue = numbers.pop(0), numbers.pop(0), numbers.pop(0)
        return f"#{red:02x}{green:02x}{blue:02x}"
    raise ValueError(f"38;{kind} is no colour")


def styled(style: Style, parameters: str) -> Style:
    """The style behind `CSI parameters m`."""
    numbers = [int(number or 0) for number in parameters.split(";")]
    while numbers:
        number = numbers.pop(0)
        if number == 0:
            style = Style()
        elif number in (1, 2):
            style = replace(style, bold=number == 1 or style.bold, dim=number == 2 or style.dim)
        elif number == 22:
            style = replace(style, bold=False, dim=False)
        elif number == 38:
            style = replace(style, ink=extended(numbers))
        elif number == 48:
            style = replace(style, paper=extended(numbers))
        elif number in (39, 49):
            style = replace(style, **{"ink" if number == 39 else "paper": None})
        elif 30 <= number <= 37 or 90 <= number <= 97:
            style = replace(style, ink=NAMED[number % 10 + (8 if number >= 90 else 0)])
        elif 40 <= number <= 47 or 100 <= number <= 107:
            style = replace(style, paper=NAMED[number % 10 + (8 if number >= 100 else 0)])
        else:
            raise ValueError(f"the screen does not know the style {number}")
    return style


class Screen:
    """As tall as what is written. A line that is longer than `columns` goes on in the next row."""

    def __init__(self, columns: int):
        self.columns = columns
        self.rows: list[list[Cell]] = [[]]
        self.row = self.column = 0
        self.style = Style()
        self._unread = ""  # an escape of which not all has come

    def write(self, text: str) -> None:
        text = self._unread + text
        self._unread = ""
        at = 0
        while at < len(text):
            if text[at] != "\x1b":
                self._put(text[at])
                at += 1
                continue
            escape = ESCAPE.match(text, at)
            if escape is None:
                self._unread = text[at:]
                return
            self._obey(escape)
            at = escape.end()

    def text(self) -> list[str]:
        return ["".join(cell.text for cell in row).rstrip() for row in self.rows]

    def _put(self, character: str) -> None:
        if character == "\n":
            self._go_to(self.row + 1, self.column)
        elif character == "\r":
            self.column = 0
        elif character == "\b":
            self.column = max(0, self.column - 1)
        elif character == "\t":
            self.column = min(self.columns - 1, self.column // 8 * 8 + 8)
        elif character >= " ":
            if self.column == self.columns:
                self._go_to(self.row + 1, 0)
            row = self.rows[self.row]
            row.extend([Cell()] * (self.column + 1 - len(row)))
            row[self.column] = Cell(character, self.style)
            self.column += 1

    def _go_to(self, row: int, column: int) -> None:
        self.row, self.column = max(0, row), min(max(0, column), self.columns - 1)
        while len(self.rows) <= self.row:
            self.rows.append([])

    def _obey(self, escape: re.Match[str]) -> None:
        parameters, letter = escape.group(1), escape.group(2)
        if letter is None or parameters.startswith("?"):
            return  # a title, a cursor that is hidden: nothing to be seen
        if letter == "m":
            self.style = styled(self.style, parameters)
            return
        count = int(parameters or 0)
        row = self.rows[self.row]
        if letter == "K" and count == 0:
            del row[self.column:]
        elif letter == "K" and count == 2:
            row.clear()
        elif letter == "J" and count == 0:
            del row[self.column:]
            del self.rows[self.row + 1:]
        elif letter in "AB":
            self._go_to(self.row + max(1, count) * (1 if letter == "B" else -1), self.column)
        elif letter in "CD":
            self._go_to(self.row, self.column + max(1, count) * (1 if letter == "C" else -1))
        elif letter == "G":
            self._go_to(self.row, max(1, count) - 1)
        else:
            raise ValueError(f"the screen does not know the sequence CSI {parameters}{letter}")
