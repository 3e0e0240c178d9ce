"""What the recorded session's screen shows of a terminal's sequences, and how that becomes an SVG."""

import sys
import unittest
import xml.etree.ElementTree as ElementTree
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "docs" / "pictures"))

from screen import Screen, Style, indexed  # noqa: E402
from screen_svg import Recording, svg  # noqa: E402

SVG = "{http://www.w3.org/2000/svg}"


def screen(text, columns=20):
    shown = Screen(columns)
    shown.write(text)
    return shown


class Screens(unittest.TestCase):
    def test_lines_and_returns(self):
        self.assertEqual(screen("one\r\ntwo\rT\r\n").text(), ["one", "Two", ""])
        self.assertEqual(screen("a\tb\b\bc").text(), ["a      cb"])

    def test_a_line_that_is_drawn_again_leaves_nothing(self):
        self.assertEqual(screen("[####] 100 %\r\x1b[Kdone\r\n").text(), ["done", ""])
        self.assertEqual(screen("abc\x1b[2K\rd").text(), ["d"])
        self.assertEqual(screen("a\r\nb\r\nc\x1b[2A\r\x1b[J").text(), [""])

    def test_a_long_line_goes_on_below(self):
        self.assertEqual(screen("abcdef", columns=4).text(), ["abcd", "ef"])

    def test_a_sequence_may_come_in_two_parts(self):
        shown = screen("a\x1b[3")
        shown.write("1mb")
        self.assertEqual(shown.text(), ["ab"])
        self.assertEqual(shown.rows[0][1].style, Style(ink=indexed(1)))

    def test_styles(self):
        cells = screen("\x1b[1;32mA\x1b[22mB\x1b[39mC\x1b[38;2;1;2;255mD\x1b[48;5;16mE\x1b[0mF\x1b[2;97mG").rows[0]
        self.assertEqual([cell.style for cell in cells], [
            Style(ink=indexed(2), bold=True), Style(ink=indexed(2)), Style(), Style(ink="#0102ff"),
            Style(ink="#0102ff", paper="#000000"), Style(), Style(ink="#ffffff", dim=True)])

    def test_indexed_colours(self):
        self.assertEqual([indexed(n) for n in (16, 21, 196, 231, 232, 255)],
                         ["#000000", "#0000ff", "#ff0000", "#ffffff", "#080808", "#eeeeee"])

    def test_what_is_not_seen(self):
        self.assertEqual(screen("\x1b[?25la\x1b]0;title\x07b\x1b[?25h").text(), ["ab"])

    def test_an_unknown_sequence_is_named(self):
        with self.assertRaisesRegex(ValueError, "CSI 3L"):
            screen("\x1b[3L")
        with self.assertRaisesRegex(ValueError, "style 5"):
            screen("\x1b[5m")


class Pictures(unittest.TestCase):
    def picture(self):
        recording = Recording(30)
        recording.write("$ run <this> & that\r\n", 0)
        for step in range(3):
            recording.write(f"\r\x1b[K{step} %", 1.0 + step)
        recording.write("\r\x1b[Kdone  \x1b[31m▀▀\x1b[44m  \x1b[0m\r\n", 4)
        return svg(recording, "a title")

    def test_it_is_xml_with_the_last_screen_as_text(self):
        root = ElementTree.fromstring(self.picture())
        self.assertEqual(root.find(f"{SVG}title").text, "a title")
        self.assertEqual(root.find(f"{SVG}desc").text, "$ run <this> & that\ndone  ▀▀")

    def test_only_the_last_look_of_a_row_stays(self):
        looks = ElementTree.fromstring(self.picture()).findall(f"{SVG}g/{SVG}g")
        told = [("".join(look.itertext()), look.get("class"), look.get("style")) for look in looks]
        self.assertEqual(told, [
            ("$ run <this> & that", None, None),
            ("0 %", "gone", "animation: for-now 1s linear 1s"),
            ("1 %", "gone", "animation: for-now 1s linear 2s"),
            ("2 %", "gone", "animation: for-now 1s linear 3s"),
            ("done", None, "animation: not-yet 4s linear")])

    def test_blocks_are_rectangles_of_half_a_row(self):
        boxes = ElementTree.fromstring(self.picture()).findall(f"{SVG}g/{SVG}g/{SVG}g/{SVG}rect")
        self.assertEqual([(box.get("x"), box.get("width"), box.get("height"), box.get("fill")) for box in boxes],
                         [("50.4", "16.8", "10", indexed(1)), ("67.2", "16.8", "20", indexed(4))])


if __name__ == "__main__":
    unittest.main()
