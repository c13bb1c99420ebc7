"""The checks notice: each is shown a page that has just what it looks for."""

import time

from tests.browser import checks
from tests.browser.conftest import PATIENCE_MS, Visit
from tests.browser.visitor import PHONE, Visitor

_ADD = "const added = document.createElement('{tag}'); document.querySelector('main').append(added); added.{change}"

PLANTED: list[tuple[checks.Check, str]] = [
    (checks.overflow, "document.querySelector('main').style.width = '500px'"),
    (checks.headings, _ADD.format(tag="h1", change="textContent = 'Another'")),
    (checks.headings, _ADD.format(tag="h5", change="textContent = 'Far below'")),
    (checks.targets, _ADD.format(tag="button", change="style.cssText = 'width: 12px; height: 12px; padding: 0'")),
    (checks.axe, _ADD.format(tag="img", change="src = '/icon.svg'")),
    (checks.contrast, "document.querySelector('main p').style.color = '#eee'"),
]
WRONG = [
    ("policy", "document.body.setAttribute('style', 'color: red')"),
    ("console", "console.error('planted')"),
    ("uncaught", "setTimeout(() => { throw new Error('planted'); })"),
]


def test_the_checks_of_pages_notice(visit: Visit) -> None:
    visitor = visit(PHONE)
    visitor.open("/pricing")
    for check, plant in PLANTED:
        assert check(visitor.page) == []
        visitor.page.evaluate(plant)
        assert check(visitor.page) != [], f"{check.__name__} did not notice: {plant}"
        visitor.page.reload()
        visitor.page.locator("h1").wait_for()


def test_a_focus_under_something_is_noticed(visit: Visit) -> None:
    page = (visitor := visit()).page
    visitor.open("/pricing")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert checks.focus(page) == []
    page.evaluate("document.querySelector('main').style.cssText = 'position: fixed; inset: 0; z-index: 99'")
    assert checks.focus(page) != []


def test_what_goes_wrong_in_a_browser_is_noticed(visit: Visit) -> None:
    visitor = visit()
    visitor.open()
    for kind, plant in WRONG:
        visitor.page.evaluate(plant)
        noticed(visitor, kind)
    visitor.page.goto(visitor.url.replace("127.0.0.1", "localhost"))
    noticed(visitor, "left the site")


def noticed(visitor: Visitor, kind: str) -> None:
    """Wait until a complaint of this kind has come, and take no offence at those there are."""
    limit = time.monotonic() + PATIENCE_MS / 1_000
    while not any(text.startswith(kind) for text in visitor.complaints):
        assert time.monotonic() < limit, f"{kind}: {visitor.complaints}"
        visitor.page.evaluate("new Promise(requestAnimationFrame)")  # events come while the page is asked
    visitor.complaints.clear()
