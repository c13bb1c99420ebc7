"""What begins in a letter: confirming an address, and a new password, with the letters of the outbox page."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.test_every_page import Look
from tests.browser.visitor import DEVICES, Device

NEW = "quite another password"


@pytest.mark.parametrize("device", DEVICES, ids=lambda device: device.name)
def test_an_address_is_confirmed_and_a_forgotten_password_replaced(device: Device, visit: Visit) -> None:
    customer = visit(device, reduced_motion="reduce")
    look, page = Look(customer), customer.page
    email = f"forgetful-{device.name}@example.org"
    customer.open("/sign-up?next=/account")
    customer.fill_in("signup", email)
    expect(page.get_by_text("Your e-mail address is not confirmed yet.")).to_be_visible()
    customer.open("/outbox")
    look.at("outbox", "Outbox")
    page.locator("article").filter(has_text=email).get_by_role("link").first.click()
    expect(page.get_by_test_id("verified")).to_be_visible()
    assert "#" not in page.url
    look.at("verified", "Your e-mail address")

    customer.open("/account")
    page.get_by_test_id("sign-out").click()
    expect(page.get_by_role("link", name="Sign in").first).to_be_visible()
    customer.open("/sign-in")
    page.get_by_role("link", name="Forgot your password?").click()
    page.get_by_test_id("forgot-email").fill(email)
    look.at("forgot", "A new password")
    page.get_by_test_id("forgot-submit").click()
    expect(page.get_by_test_id("reset-sent")).to_contain_text(email)
    customer.open("/outbox")
    page.locator("article").filter(has_text="choose a new password").filter(has_text=email).get_by_role("link").click()
    page.get_by_test_id("reset-password").fill(NEW)
    look.at("reset", "Choose a new password")
    page.get_by_test_id("reset-submit").click()
    expect(page.get_by_text(email)).to_be_visible()
    expect(page.get_by_text("not confirmed yet")).to_have_count(0)
