"""Every page on a phone and on a desktop, in light and in dark: clean by all checks, and pictured for people to judge.

The pictures lie in `out/screens/`.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser import checks
from tests.browser.conftest import SCREENS, Visit
from tests.browser.pictures import Pictures
from tests.browser.visitor import DESKTOP, DEVICES, Device, Visitor
from tests.support.served import Served

SCHEMES: Mapping[str, tuple[checks.Check, ...]] = {
    "light": (checks.overflow, checks.headings, checks.targets, checks.axe),
    "dark": (checks.overflow, checks.contrast),
}
"""What is checked in each: all, and what another choice of colours could change."""


@pytest.mark.parametrize("device", DEVICES, ids=lambda device: device.name)
def test_pages_for_strangers(device: Device, visit: Visit, pictures: Pictures) -> None:
    stranger = visit(device, reduced_motion="reduce")  # pictures of the end of each transition
    stranger.expects_refusal(415)
    look = Look(stranger)
    stranger.open()
    look.at("home")
    stranger.page.get_by_test_id("file-input").set_input_files(pictures.text)
    expect(stranger.page.get_by_role("alert")).to_be_visible()
    look.at("refused")
    stranger.follow("Pricing")
    expect(stranger.page.get_by_text("$4.99")).to_be_visible()
    look.at("pricing")
    stranger.follow("Sign in")
    look.at("sign-in", "Sign in")
    stranger.press(stranger.page.get_by_role("link", name="Sign up"))
    look.at("sign-up", "Sign up")
    stranger.open("/no/such/page")
    look.at("404", "There is no such page")


@pytest.mark.parametrize("device", DEVICES, ids=lambda device: device.name)
def test_pages_of_a_customer(device: Device, visit: Visit, served: Served, pictures: Pictures) -> None:
    customer = signed_in(visit, served, device)
    look = Look(customer)
    customer.pick(pictures.scene)
    expect(customer.page.get_by_text("left after this.")).to_be_visible()
    look.at("edit", "Check the corners")
    with under_way(customer, served) as done:
        look.at("job")
    customer.wait_for("succeeded")
    expect(customer.page.get_by_test_id("download-full")).to_be_visible()
    look.at("result", "Your picture is ready")
    failed = customer.order("perspective", pictures.cat)  # holds no print, and no corners say where one would be
    customer.open(f"/jobs/{failed}")
    customer.wait_for("failed")
    look.at("failed", "That did not work")
    customer.follow("Gallery")
    expect(customer.page.locator(f"a[href='/jobs/{done}'] img")).to_have_js_property("complete", True)
    look.at("gallery", "Gallery")
    customer.follow("Account")
    expect(customer.page.get_by_role("heading", name="API keys")).to_be_visible()
    expect(customer.page.get_by_text("For the demo").first).to_be_visible()
    look.at("account", "Account")


def test_a_job_that_is_not_there(visit: Visit) -> None:
    stranger = visit()
    stranger.expects_refusal(404)
    stranger.open("/jobs/job_00000000000000000000000000")
    expect(stranger.page.get_by_role("alert")).to_be_visible()
    Look(stranger).at("missing-job")


def test_pages_at_twice_the_size(visit: Visit) -> None:
    """A window of half the width is what 200 % zoom makes of it."""
    stranger = visit(DESKTOP, viewport={"width": 680, "height": 450}, device_scale_factor=2)
    for path in ("/", "/pricing", "/sign-up"):
        stranger.open(path)
        assert checks.overflow(stranger.page) == []


class Look:
    """Looks at a page in both schemes, and keeps pictures."""

    def __init__(self, visitor: Visitor) -> None:
        self._visitor = visitor

    def at(self, name: str, heading: str | None = None) -> None:
        """Check the page that is open and take its picture; `heading`: what it is called."""
        page = self._visitor.page
        if heading is not None:
            expect(page.get_by_role("heading", level=1)).to_have_text(heading)
        complaints = {scheme: self._in(scheme, name) for scheme in SCHEMES}
        page.emulate_media(color_scheme="light")
        assert complaints == {scheme: {} for scheme in SCHEMES}

    def _in(self, scheme: str, name: str) -> dict[str, list[str]]:
        page = self._visitor.page
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        settle(page)
        self._picture(SCREENS / f"{name}-{self._visitor.device.name}-{scheme}.png")
        return checks.complaints(page, *SCHEMES[scheme])

    def _picture(self, path: Path) -> None:
        """Take a picture of all of the page; of a phone by making it as long: `full_page` would end its touch."""
        page, device = self._visitor.page, self._visitor.device
        if not device.has_touch:
            page.screenshot(path=path, full_page=True)
            return
        window = device.context["viewport"]
        length = page.evaluate("document.documentElement.scrollHeight")
        page.set_viewport_size(window | {"height": max(length, window["height"])})
        page.screenshot(path=path)
        page.set_viewport_size(window)


def settle(page: Page) -> None:
    """Wait for fonts and pictures."""
    page.evaluate("""async () => {
      await document.fonts.ready;
      await Promise.all([...document.images].map((image) => image.decode().catch(() => null)));
    }""")


def signed_in(visit: Visit, served: Served, device: Device) -> Visitor:
    """The demo customer, who has credits to spend, at the start page."""
    customer = visit(device, reduced_motion="reduce")
    customer.open("/sign-in")
    customer.fill_in("signin", *served.demo)
    expect(customer.page.get_by_role("navigation").get_by_role("link", name="Account")).to_be_visible()
    return customer


@contextmanager
def under_way(customer: Visitor, served: Served) -> Iterator[str]:
    """Start the work, and hold it up as soon as the page shows that some of it is done; yields the job's id.

    It gets a moment at a time until then: nobody knows how much of it is done before the page has looked.
    """
    with served.held_up():
        job = customer.submit()
    while True:
        with served.held_up():
            shown = customer.ask(f"/jobs/{job}")
            assert shown["status"] in {"queued", "running"}, f"it was over before it could be held up: {shown}"
            if not shown["progress"]:
                continue
            customer.page.wait_for_function(
                """() => Number(document.querySelector("[data-testid=job-progress]")?.dataset.percent) > 0"""
            )
            yield job
            return
