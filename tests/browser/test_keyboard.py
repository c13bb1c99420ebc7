"""The whole way without a pointer, with what has the focus always in sight, and for those who can't bear motion."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser import checks
from tests.browser.conftest import Visit
from tests.browser.pictures import Pictures
from tests.browser.visitor import DEVICES, PASSWORD, Device

MAX_TABS = 60  # more stops than any page has


def test_the_journey_by_keyboard_alone(visit: Visit, pictures: Pictures) -> None:
    customer = visit()
    page = customer.page
    customer.open()
    go_to(page, "link", "Sign in")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1, name="Sign in")).to_be_focused()
    go_to(page, "link", "Sign up")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1, name="Sign up")).to_be_focused()
    go_to(page, "textbox", "E-mail")
    page.keyboard.type("keyboard@example.org")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    customer.has_credits(3)
    expect(page.get_by_role("heading", level=1, name="Bring your old photographs")).to_be_focused()

    go_to(page, "button", "Choose a picture")
    with page.expect_file_chooser() as asked:
        page.keyboard.press("Enter")
    asked.value.set_files(pictures.scene)
    expect(customer.corner(0)).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    go_to(page, "slider", "Top left corner")
    before = customer.corner(0).get_attribute("aria-valuetext")
    page.keyboard.press("ArrowRight")
    assert customer.corner(0).get_attribute("aria-valuetext") != before
    go_to(page, "radio", "Restore")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("radio", name="Straighten")).to_be_checked()
    expect(page.get_by_test_id("submit-job")).to_have_text("Straighten · 1 credit")
    go_to(page, "button", "Straighten · 1 credit")
    page.keyboard.press("Enter")

    customer.wait_for("succeeded")
    expect(page.get_by_role("heading", level=1, name="Your picture is ready")).to_be_focused()
    go_to(page, "link", "Download (JPEG")
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert download.value.failure() is None
    go_to(page, "button", "Delete")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Keep it")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("button", name="Delete")).to_be_focused()


@pytest.mark.parametrize("device", DEVICES, ids=lambda device: device.name)
def test_reading_goes_on_at_the_heading_of_a_new_page(device: Device, visit: Visit) -> None:
    visitor = visit(device)
    visitor.open()
    expect(visitor.page.get_by_role("heading", level=1)).not_to_be_focused()  # nobody has gone anywhere yet
    for tab, heading in (("Pricing", "Plans and prices"), ("Gallery", "Gallery"), ("Sign in", "Sign in")):
        visitor.follow(tab)
        expect(visitor.page.get_by_role("heading", level=1, name=heading)).to_be_focused()
        expect(visitor.page).to_have_title(f"{tab} · Rekindle")
    visitor.page.go_back()
    expect(visitor.page.get_by_role("heading", level=1, name="Gallery")).to_be_focused()


def test_the_first_stop_leads_past_the_navigation(visit: Visit) -> None:
    visitor = visit()
    visitor.open("/pricing")
    visitor.page.keyboard.press("Tab")
    expect(visitor.page.get_by_role("link", name="Skip to the content")).to_be_focused()
    visitor.page.keyboard.press("Enter")
    expect(visitor.page.locator("main")).to_be_focused()


def test_the_focus_is_never_under_what_stays_in_view(visit: Visit, pictures: Pictures) -> None:
    visitor = visit(viewport={"width": 390, "height": 700})  # tabs and price bar leave little room
    visitor.open()
    visitor.pick(pictures.scene)
    expect(visitor.page.get_by_test_id("sign-up-to-start")).to_be_visible()
    go_to(visitor.page, "link", "Sign up to go on")


def test_nothing_moves_for_those_who_asked_for_that(visit: Visit, pictures: Pictures) -> None:
    visitor = visit(reduced_motion="reduce")
    visitor.open()
    assert moving(visitor.page) == []
    visitor.pick(pictures.cat)
    assert moving(visitor.page) == []
    visitor.page.emulate_media(reduced_motion="no-preference")
    assert moving(visitor.page) != []  # else this test would be blind


def go_to(page: Page, role: str, name: str) -> None:
    """Press Tab until something has the focus, which must be in sight at every stop."""
    target = page.get_by_role(role, name=name).first  # type: ignore[arg-type]
    target.wait_for(state="attached")
    for _ in range(MAX_TABS):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement === document.body"):
            continue  # the end of the page; from here it starts again
        assert checks.focus(page) == []
        if target.evaluate("target => target === document.activeElement"):
            return
    raise AssertionError(f"Tab does not lead to the {role} “{name}”")


def moving(page: Page) -> list[str]:
    """What would move if it changed."""
    found: list[str] = page.evaluate("""() => [...document.querySelectorAll("*")]
      .filter((element) => {
        const style = getComputedStyle(element);
        const durations = `${style.transitionDuration}, ${style.animationDuration}`.split(", ");
        return durations.some((duration) => parseFloat(duration) > 0);
      })
      .map((element) => element.tagName)""")
    return found
