"""The HTML report as a person sees it: rendered by headless Chromium, phone and desktop, light, dark and inverted.

Run by `make browser`, which says loudly when there is no Chromium. The screenshots lie in .browser/ for looking at.
"""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import pytest

from docs.generate import story
from tests import browser
from tests.report.made import NOW, TEXTS, report_of
from tests.report.test_report import Page, hostile_report
from triage.report.build import Counts
from triage.report.html import report_html

SHOTS = Path(__file__).parents[2] / ".browser"
YEARS = [
    {"day": f"{year}-05-01", "kind": "failed", "category": "unknown", "side": "own", "verdicts": 1234}
    for year in range(2017, 2027)
]
REPORTS = TEXTS | {
    "hostile": hostile_report(),
    "years": report_of([], since=NOW - timedelta(days=3650), counts=Counts(YEARS, YEARS)),
}
WIDTHS = (360, 1200)
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        browser.find() is None, reason="there is no Chromium here: `make browser` installs it on Debian"
    ),
]

# Every text of the page: its words, colours, size, place, and whether a click on it would hit it.
TEXTS_OF_PAGE = """(() => {
  const colour = text => (text.match(/[\\d.]+/g) || []).map(Number);
  const behind = element => {
    for (let one = element; one; one = one.parentElement) {
      const [r, g, b, a = 1] = colour(getComputedStyle(one).backgroundColor);
      if (a > 0) return [r, g, b, a];
    }
    return [255, 255, 255, 1];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const words = node.textContent.replace(/\\s+/g, ' ').trim();
    if (!words || words === '\\u00a0') continue;
    const element = node.parentElement, style = getComputedStyle(element);
    const range = document.createRange();
    range.selectNodeContents(node);
    const boxes = [...range.getClientRects()].filter(box => box.width > 0 && box.height > 0);
    element.scrollIntoView({block: 'center'});
    const now = [...range.getClientRects()].filter(box => box.width > 0 && box.height > 0)[0];
    const hit = now && document.elementFromPoint(now.left + Math.min(now.width / 2, 5), now.top + now.height / 2);
    found.push({
      words, color: colour(style.color), background: behind(element), size: parseFloat(style.fontSize),
      weight: parseInt(style.fontWeight), boxes: boxes.length,
      left: Math.min(...boxes.map(box => box.left)), right: Math.max(...boxes.map(box => box.right)),
      isOnTop: !!hit && (element === hit || element.contains(hit) || hit.contains(element)),
    });
  }
  window.scrollTo(0, 0);
  return found;
})()"""


def luminance(colour: list[float]) -> float:
    """Relative luminance: WCAG 2.2, https://www.w3.org/TR/WCAG22/#dfn-relative-luminance."""
    linear = [c / 255 / 12.92 if c / 255 <= 0.04045 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: list[float], other: list[float]) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def inverted(colour: list[float]) -> list[float]:
    """The colour as a mail program makes it that turns light into dark by itself: the same hue, lightness reversed."""
    high, low = max(colour[:3]), min(colour[:3])
    return [255 - (high + low) + value for value in colour[:3]]


def too_faint(texts: list[dict[str, Any]], change: Any = lambda colour: colour) -> list[str]:
    """The texts below WCAG AA: 4.5, or 3 for large ones (24 px, or 18.66 px bold)."""
    faint = []
    for text in texts:
        is_large = text["size"] >= 24 or (text["size"] >= 18.66 and text["weight"] >= 700)
        ratio = contrast(change(text["color"]), change(text["background"]))
        if ratio < (3 if is_large else 4.5):
            faint.append(f"{ratio:.2f} {text['words'][:60]!r} {text['color']} on {text['background']}")
    return faint


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", REPORTS)
def test_the_report_is_readable(page: browser.Browser, name: str, width: int, scheme: Any) -> None:
    html = report_html(REPORTS[name])
    page.show(html, width=width, scheme=scheme)
    page.screenshot(SHOTS / f"{name}-{width}-{scheme}.png")
    found = page.evaluate(browser.WIDEST)
    assert found["width"] == width
    assert found["page"] <= width, found["wide"]
    assert found["wide"] == []
    texts = page.evaluate(TEXTS_OF_PAGE)
    assert too_faint(texts) == []
    for text in texts:
        assert text["boxes"], f"not shown: {text['words']}"
        assert text["isOnTop"], f"covered: {text['words']}"
        assert text["left"] >= -0.5, text["words"]
        assert text["right"] <= width + 0.5, text["words"]
        assert text["size"] >= 12
    told = " ".join(text["words"] for text in texts)
    wanted = re.sub(r"<(style|title)>.*?</\1>", "", html, flags=re.DOTALL)
    assert squeezed(told) == squeezed(Page(wanted).text)
    assert page.requests == []


def test_the_picture_of_the_readme(page: browser.Browser) -> None:
    """Made anew in .browser/; copied to docs/report.png by hand where the report has changed its looks."""
    page.show(report_html(story()), width=640, scheme="light")
    page.screenshot(SHOTS / "report.png", down_to=".card")
    assert 10_000 < (SHOTS / "report.png").stat().st_size < 120_000


def squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text)


def test_the_schemes_differ(page: browser.Browser) -> None:
    backgrounds = set()
    for scheme in SCHEMES:
        page.show(report_html(TEXTS["everything"]), width=360, scheme=scheme)
        backgrounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert len(backgrounds) == 2


@pytest.mark.parametrize("width", WIDTHS)
def test_it_is_readable_where_gmail_throws_the_style_block_away(page: browser.Browser, width: int) -> None:
    html = re.sub(r"<style>.*?</style>", "", report_html(TEXTS["everything"]), flags=re.DOTALL)
    page.show(html, width=width, scheme="dark")
    page.screenshot(SHOTS / f"no-style-block-{width}.png")
    found = page.evaluate(browser.WIDEST)
    assert (found["page"] <= width, found["wide"]) == (True, [])
    assert too_faint(page.evaluate(TEXTS_OF_PAGE)) == []


@pytest.mark.parametrize("name", REPORTS)
def test_it_is_readable_where_a_mail_program_inverts_the_colours_by_itself(page: browser.Browser, name: str) -> None:
    page.show(report_html(REPORTS[name]), width=360, scheme="light")
    assert too_faint(page.evaluate(TEXTS_OF_PAGE), inverted) == []


def test_a_faint_text_would_be_found() -> None:
    grey = {"words": "x", "color": [150, 150, 150], "background": [255, 255, 255, 1], "size": 13, "weight": 400}
    assert len(too_faint([grey])) == 1
    assert too_faint([grey | {"size": 30, "color": [140, 140, 140]}]) == []
    assert contrast([0, 0, 0], [255, 255, 255]) == pytest.approx(21)
    assert inverted([255, 255, 255]) == [0, 0, 0]
