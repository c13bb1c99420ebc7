"""What holds on every page. Each check returns complaints in words, none where all is well."""

from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path

from playwright.sync_api import Page

from tests.support.served import ROOT

AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
MIN_TARGET_PX = 24  # WCAG 2.2, 2.5.8; links within a sentence are free of it

Check = Callable[[Page], list[str]]

_WIDE = """(width) => document.documentElement.scrollWidth <= width ? [] : [...document.querySelectorAll("body *")]
  .filter((element) => element.getBoundingClientRect().right > width + 0.5)
  .slice(0, 3)
  .map((element) => `${element.tagName.toLowerCase()}.${element.className} reaches beyond the window`)
  .concat(`the page is ${document.documentElement.scrollWidth} px wide, the window ${width}`)"""

_HEADINGS = """() => [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")]
  .filter((heading) => heading.checkVisibility())
  .map((heading) => [Number(heading.tagName[1]), heading.textContent.trim()])"""

_TARGETS = """(least) => [...document.querySelectorAll("a, button, input, select, [role=slider]")]
  .filter((element) => element.checkVisibility() && !element.closest("p, .hidden, .skip"))
  .map((element) => [element, (element.closest("label") ?? element).getBoundingClientRect()])
  .filter(([, box]) => box.width > 0 && (box.width < least || box.height < least))
  .map(([element, box]) => `${element.outerHTML.slice(0, 80)} is ${box.width} x ${box.height} px: too small to hit`)"""

_HIDDEN_FOCUS = """() => {
  const focused = document.activeElement;
  const shown = focused.closest("label, .option, .compare") ?? focused;  // what stands for a hidden input
  const { left, top, width, height } = shown.getBoundingClientRect();
  const there = document.elementFromPoint(left + width / 2, top + height / 2);
  const about = focused.outerHTML.slice(0, 120);
  if (!focused.matches(":focus-visible")) return [`it has the focus and does not show it: ${about}`];
  return shown.contains(there) ? [] : [`it has the focus and lies out of sight or under something: ${about}`];
}"""

_AXE = """async (rules) => {
  const only = rules.length > 0 ? { runOnly: { type: "rule", values: rules } } : {};
  const { violations } = await axe.run(document, { resultTypes: ["violations"], ...only });
  return violations.flatMap(({ id, help, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${id}: ${help}: ${target.join(" ")}: ${failureSummary}`));
}"""


def overflow(page: Page) -> list[str]:
    """Nothing makes the page scroll sideways.

    The window's width is the one it was given: on a phone `innerWidth` grows with a page that is too wide.
    """
    window = page.viewport_size
    assert window is not None
    found: list[str] = page.evaluate(_WIDE, window["width"])
    return found


def headings(page: Page) -> list[str]:
    """One heading of the first level comes first, and no level is left out on the way down."""
    found: list[tuple[int, str]] = page.evaluate(_HEADINGS)
    levels = [level for level, _ in found]
    complaints = [f"the heading “{text}” is empty" for _, text in found if not text]
    if levels.count(1) != 1 or levels[0] != 1:
        complaints.append(f"there must be one h1, first of all: {found}")
    complaints += [
        f"“{below[1]}” skips a level: h{below[0]} after h{above[0]}"
        for above, below in pairwise(found)
        if below[0] > above[0] + 1
    ]
    return complaints


def targets(page: Page) -> list[str]:
    """Everything that can be pressed is large enough to be hit."""
    found: list[str] = page.evaluate(_TARGETS, MIN_TARGET_PX)
    return found


def focus(page: Page) -> list[str]:
    """What the keyboard has come to is in sight, and marked."""
    found: list[str] = page.evaluate(_HIDDEN_FOCUS)
    return found


def axe(page: Page, *rules: str) -> list[str]:
    """What axe finds by all its rules, or by these."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(_script())
    found: list[str] = page.evaluate(_AXE, rules)
    return found


def contrast(page: Page) -> list[str]:
    """What of axe's findings another colour scheme can change."""
    return axe(page, "color-contrast", "link-in-text-block")


def complaints(page: Page, *checks: Check) -> dict[str, list[str]]:
    """Run checks; holds only those that found something."""
    made = {check.__name__: check(page) for check in checks}
    return {name: found for name, found in made.items() if found}


@cache
def _script() -> str:
    return Path(AXE).read_text("utf-8")
