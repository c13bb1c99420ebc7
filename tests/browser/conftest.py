"""One server and one browser for all tests here, and for each test as many visitors as it asks for.

Playwright's calls that wait are used, not its coroutines: these tests read like a script. It keeps an event loop
running from start to stop, in which no coroutine test could run; so both live as long as this package's tests only.
"""

import os
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Playwright, expect, sync_playwright

from penstock.web.built import APP_FOLDER, SHELL
from tests.browser.pictures import Pictures
from tests.browser.visitor import DESKTOP, Device, Visitor
from tests.support.served import ROOT, Served

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE_MS = 60_000  # on a machine that many share
HERE = Path(__file__).parent
SCREENS = ROOT / "out" / "screens"
FAILED = pytest.StashKey[bool]()

Visit = Callable[..., Visitor]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what drives a browser."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember that a test failed, for `visit` to take a picture of what it saw."""
    report = yield
    if report.when == "call":
        item.stash[FAILED] = report.failed
    return report


@pytest.fixture(scope="package")
def playwright() -> Iterator[Playwright]:
    """The driver; None of it is there without the browser and the built app."""
    if not CHROMIUM.exists():
        _do_without(f"there is no {CHROMIUM}: run .ci/install chromium")
    if not (APP_FOLDER / SHELL).is_file():
        _do_without("the web app is not built: run make web")
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as driver:
        yield driver


@pytest.fixture(scope="package")
def chromium(playwright: Playwright) -> Iterator[Browser]:
    """Debian's Chromium, kept off the network."""
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
    yield browser
    browser.close()


@pytest.fixture(scope="package")
def served(playwright: Playwright, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Rekindle, being served. Nobody kills this one."""
    server = Served(tmp_path_factory.mktemp("served"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def another(playwright: Playwright, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Another one, started by whoever needs it."""
    server = Served(tmp_path_factory.mktemp("mortal"))
    yield server
    server.stop()


@pytest.fixture
def mortal(another: Served) -> Served:
    """One that tests may kill: it runs when a test begins, whatever the one before did to it."""
    if not another.runs:
        another.start()
    return another


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Pictures:
    """Files to bring along."""
    return Pictures(tmp_path_factory.mktemp("pictures"))


@pytest.fixture
def visit(chromium: Browser, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """Bring in a visitor: `visit(device, to=server, **context options)`. At the end none may have complaints."""
    visitors: list[Visitor] = []

    def come(device: Device = DESKTOP, to: Served | None = None, **options: Any) -> Visitor:
        server = to or request.getfixturevalue("served")
        context = chromium.new_context(**(device.context | {"locale": "en-GB", "color_scheme": "light"} | options))
        context.set_default_timeout(PATIENCE_MS)
        visitors.append(Visitor(context, server.url, device))
        return visitors[-1]

    yield come
    complaints = [text for visitor in visitors for text in visitor.unexpected()]
    for number, visitor in enumerate(visitors):
        if request.node.stash.get(FAILED, False):
            visitor.page.screenshot(path=SCREENS / f"failed-{request.node.name}-{number}.png")
        visitor.context.close()
    assert complaints == []


def _do_without(reason: str) -> None:
    """Skip, aloud; where everything must run, fail."""
    if os.environ.get("CI"):
        pytest.fail(f"Browser tests can't run: {reason}")
    pytest.skip(f"Browser tests are left out: {reason}")
