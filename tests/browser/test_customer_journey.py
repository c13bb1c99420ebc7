"""A first picture, from signing up to the file on one's own disk; and what happens when the credits are gone."""

import re
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Locator, expect

from tests.browser.conftest import Visit
from tests.browser.pictures import PRINT_CORNERS, Pictures
from tests.browser.visitor import DEVICES, PHONE, Device, Visitor
from tests.support.served import Served

FREE_CREDITS, PRICE = 3, 2
FREE_SHORT_SIDE = 480


@pytest.mark.parametrize("device", DEVICES, ids=lambda device: device.name)
def test_customer_journey(device: Device, visit: Visit, served: Served, pictures: Pictures, tmp_path: Path) -> None:
    customer = visit(device)
    customer.open()
    customer.sign_up()
    customer.has_credits(FREE_CREDITS)

    customer.pick(pictures.scene)
    suggested_corners_lie_on_the_print(customer)
    corners_move_by_pointer_and_by_key(customer)
    expect(customer.page.get_by_text(f"You have {FREE_CREDITS} credits; 1 left after this.")).to_be_visible()
    expect(customer.page.get_by_test_id("submit-job")).to_have_text(re.compile(f"Restore · {PRICE} credits"))

    with served.held_up():  # or it may be done before the page has looked
        job = customer.submit()
        expect(customer.page.get_by_test_id("job-progress")).to_be_visible()
    customer.wait_for("succeeded")
    customer.has_credits(FREE_CREDITS - PRICE)
    the_slider_uncovers_the_original(customer)
    the_file_is_a_restored_picture(customer, pictures.scene, tmp_path)
    the_gallery_has_it_with_its_last_day(customer, job)

    customer.follow("Start")
    customer.pick(pictures.cat)
    the_credits_do_not_suffice(customer)


def test_credits_spent_in_another_tab_are_missing_with_a_way_on(visit: Visit, pictures: Pictures) -> None:
    customer = visit()
    customer.expects_refusal(402)
    customer.open()
    customer.sign_up()
    customer.pick(pictures.cat)
    button = customer.page.get_by_test_id("submit-job")
    expect(button).to_be_enabled()
    customer.order("restore", pictures.coffee)

    customer.press(button)

    problem = customer.page.get_by_role("alert")
    expect(problem).to_contain_text("A top-up is there at once; a plan brings credits every month.")
    customer.press(problem.get_by_role("link").first)
    expect(customer.page.get_by_role("heading", level=1, name="Plans and prices")).to_be_focused()


def test_a_picture_that_was_the_trouble_can_be_adjusted(visit: Visit, pictures: Pictures) -> None:
    customer = visit(PHONE)
    customer.open()
    customer.sign_up()
    job = customer.order("perspective", pictures.cat)  # no print in it, and no corners
    customer.open(f"/jobs/{job}")
    customer.wait_for("failed")
    expect(customer.page.get_by_text("You were not charged: 1 credit came back to you.")).to_be_visible()
    customer.has_credits(FREE_CREDITS)

    customer.press(customer.page.get_by_test_id("adjust-picture"))

    expect(customer.page.get_by_role("radio", name="Straighten")).to_be_checked()
    picture = customer.page.get_by_alt_text("What you uploaded, with the outline of the print on it")
    expect(picture).not_to_have_js_property("naturalWidth", 0)
    customer.drag(customer.corner(0), 30, 30)
    customer.submit()
    customer.wait_for("succeeded")
    customer.has_credits(FREE_CREDITS - 1)


def corner_at(handle: Locator) -> tuple[float, float]:
    """Where a corner says it is, in fractions of the picture."""
    across, down = re.findall(r"[\d.]+", handle.get_attribute("aria-valuetext") or "")
    return float(across) / 100, float(down) / 100


def suggested_corners_lie_on_the_print(customer: Visitor) -> None:
    for index, (x, y) in enumerate(PRINT_CORNERS):
        assert corner_at(customer.corner(index)) == pytest.approx((x, y), abs=0.02)


def corners_move_by_pointer_and_by_key(customer: Visitor) -> None:
    first, third = customer.corner(0), customer.corner(2)
    x, y = corner_at(first)
    customer.drag(first, 20, 12)
    dragged = corner_at(first)
    assert dragged[0] > x + 0.01
    assert dragged[1] > y + 0.01

    x, y = corner_at(third)
    third.focus()
    customer.page.keyboard.press("Shift+ArrowLeft")
    customer.page.keyboard.press("ArrowUp")
    moved = corner_at(third)
    assert moved[0] < x - 0.005
    assert moved[1] < y
    assert corner_at(first) == dragged


def the_slider_uncovers_the_original(customer: Visitor) -> None:
    slider = customer.page.get_by_test_id("compare-slider")
    before = customer.page.get_by_alt_text("Before", exact=True)
    half = before.evaluate("image => image.style.clipPath")
    box = slider.bounding_box()
    assert box is not None
    customer.drag(slider, box["width"] * 0.3, 0)
    assert before.evaluate("image => image.style.clipPath") != half
    shown = re.match(r"(\d+) % before", slider.get_attribute("aria-valuetext") or "")
    assert shown is not None
    assert 70 <= int(shown[1]) <= 90


def the_file_is_a_restored_picture(customer: Visitor, uploaded: Path, folder: Path) -> None:
    with customer.page.expect_download() as download:
        customer.press(customer.page.get_by_test_id("download-full"))
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    assert path.suffix in {".jpg", ".jpeg"}
    assert path.read_bytes() != uploaded.read_bytes()
    with Image.open(path) as picture:
        picture.load()
        assert picture.format == "JPEG"
        assert min(picture.size) == FREE_SHORT_SIDE
        assert picture.width / picture.height == pytest.approx(1, abs=0.15)  # the print alone, not the table
        assert not picture.getexif()


def the_gallery_has_it_with_its_last_day(customer: Visitor, job: str) -> None:
    result = customer.ask(f"/jobs/{job}")["result"]
    customer.follow("Gallery")
    item = customer.page.get_by_test_id("gallery-item")
    expect(item).to_have_count(1)
    expect(item.locator("img")).to_have_js_property("complete", True)
    assert item.locator("img").evaluate("image => image.naturalWidth") > 0
    last_day = customer.page.evaluate(
        'iso => new Intl.DateTimeFormat("en-GB", { dateStyle: "medium" }).format(new Date(iso))', result["expires_at"]
    )
    expect(item).to_contain_text(f"Kept until {last_day}")


def the_credits_do_not_suffice(customer: Visitor) -> None:
    expect(customer.page.get_by_text("1 credit missing.")).to_be_visible()
    expect(customer.page.get_by_test_id("submit-job")).to_be_disabled()
    customer.press(customer.page.get_by_role("link", name="See plans and prices"))
    expect(customer.page.get_by_role("heading", level=1, name="Plans and prices")).to_be_focused()
    expect(customer.page.get_by_text("$4.99")).to_be_visible()
