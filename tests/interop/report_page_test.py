"""A run's report.html and a comparison in headless Chromium: curves and pictures are there, at a desktop's and a phone's
width, light and dark; nothing is cut off, all text has contrast, and nothing is loaded. Screenshots stay in a folder.

Usage: report_page_test.py CONVOY ARTEFACTS
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from needed import need

need("numpy")
from chromium import Chromium, find_chromium  # noqa: E402
from made_up import write_digits  # noqa: E402

MEASURE = """(() => {
  const all = selector => [...document.querySelectorAll(selector)];
  const box = e => { const r = e.getBoundingClientRect(); return [Math.round(r.width), Math.round(r.height)]; };
  const rgb = text => text.match(/[\\d.]+/g).map(Number);
  const over = (top, below) => { const a = top[3] ?? 1; return [0, 1, 2].map(i => a * top[i] + (1 - a) * below[i]); };
  const ground = e => e ? over(rgb(getComputedStyle(e).backgroundColor), ground(e.parentElement)) : [255, 255, 255];
  const light = c => { const [r, g, b] = c.map(v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const contrast = (a, b) => { const [x, y] = [light(a), light(b)]; return (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05); };
  const texts = all('main *').filter(e => [...e.childNodes].some(n => n.nodeType == 3 && n.data.trim()) && box(e)[0]);
  const paint = e => rgb(e.ownerSVGElement ? getComputedStyle(e).fill : getComputedStyle(e).color);
  return {
    lines: all('svg.chart polyline').map(box), charts: all('svg.chart').map(box), marks: all('svg.chart circle').length,
    labels: all('svg.chart').map(e => e.getAttribute('aria-label') || ''),
    images: all('img').map(e => [e.naturalWidth, e.alt.length, ...box(e)]),
    mistakes: all('.mistakes li').length, filters: all('.filters li').length, cells: all('.confusion td').length,
    headings: all('h2').map(e => e.textContent), width: document.documentElement.scrollWidth, room: innerWidth,
    tallest: Math.max(...all('tbody tr').map(e => box(e)[1])),
    small: Math.min(...all('svg.chart text').map(e => box(e)[1])),
    contrast: Math.min(...texts.map(e => contrast(over(paint(e), ground(e)), ground(e)))),
    ground: light(ground(document.body)),
  };
})()"""

failures = []


def check(holds: bool, what: str) -> None:
    if not holds:
        failures.append(what)
        print("failed:", what)


def check_page(browser: Chromium, page: Path, width: int, dark: bool, picture: Path) -> dict:
    where = f"{page.name} at {width} px, {'dark' if dark else 'light'}"
    browser.open(page, width, dark)
    found = browser.evaluate(MEASURE)
    print(where, {key: found[key] for key in ("charts", "marks", "width", "small", "contrast", "headings")})
    check(found["room"] == width and found["width"] <= width, f"{where}: the page is {found['width']} px wide")
    check(len(found["charts"]) >= 3 and all(w > 250 and h > 120 for w, h in found["charts"]), f"{where}: charts {found['charts']}")
    check(sum(w > 30 and h > 5 for w, h in found["lines"]) >= 4, f"{where}: curves {found['lines']}")
    check(all(len(label) > 20 for label in found["labels"]), f"{where}: a chart has no description")
    check(all(natural > 0 and alt > 0 and w > 10 and h > 10 for natural, alt, w, h in found["images"]), f"{where}: images {found['images']}")
    check(found["small"] >= 9, f"{where}: text in charts is {found['small']} px high")
    check(found["tallest"] <= 5 * 24, f"{where}: a row of a table is {found['tallest']} px high, so its text is squeezed")
    check(found["contrast"] >= 4.5, f"{where}: text with a contrast of {found['contrast']:.2f}")
    check((found["ground"] < 0.1) == dark, f"{where}: the ground's luminance is {found['ground']:.2f}")
    others = [url for url in browser.requested if not url.startswith("data:") and url != page.resolve().as_uri()]
    check(not others, f"{where}: loads {others}")
    browser.screenshot(picture)
    check(picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n" and picture.stat().st_size > 20000, f"{where}: no screenshot")
    return found


def main() -> None:
    program = find_chromium()
    if program is None:
        print("skipped: there is no chromium that starts; cmake/setup.sh interop installs Debian's")
        sys.exit(77)
    convoy, artefacts = sys.argv[1], Path(sys.argv[2])
    artefacts.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name, Chromium(program) as browser:
        folder = Path(name)
        write_digits(folder / "digits")
        for run, flags in {"one": ["--lr", "1e-4"], "two": ["--lr", "1e-3", "--schedule", "cosine"]}.items():
            subprocess.run([convoy, "train", "--dataset", "idx", "--data", folder / "digits", "--out", folder / run, "--epochs", "4",
                            "--batch-size", "20", "--log-every", "1", "--validation", "100", *flags],
                           check=True, stdout=subprocess.DEVNULL)
        subprocess.run([convoy, "compare", folder / "one", folder / "two", "--html", folder / "compare.html"], check=True)
        for width in (1280, 390):
            for dark in (False, True):
                suffix = f"{width}-{'dark' if dark else 'light'}.png"
                found = check_page(browser, folder / "one/report.html", width, dark, artefacts / f"report-{suffix}")
                check(found["mistakes"] > 0 and found["filters"] == 16 and found["cells"] == 101,
                      f"{suffix}: {found['mistakes']} mistakes, {found['filters']} filters, {found['cells']} cells")
                for heading in ("Curves", "Mistakes", "Classes", "Filters of the first layer", "Time per layer", "Options and versions"):
                    check(heading in found["headings"], f"{suffix}: no section '{heading}'")
                check_page(browser, folder / "compare.html", width, dark, artefacts / f"compare-{suffix}")
    print(f"screenshots are in {artefacts}")
    sys.exit(bool(failures))


main()
