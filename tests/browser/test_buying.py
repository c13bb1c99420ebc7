"""Buying in the browser, with the test checkout: a plan, credits, another plan, and the way out, told before."""

from decimal import Decimal

import pytest
from playwright.sync_api import Route, expect

from tests.browser.conftest import Visit
from tests.browser.test_every_page import Look, signed_in
from tests.browser.visitor import DEVICES, Device
from tests.support.served import Served


@pytest.mark.parametrize("device", DEVICES, ids=lambda device: device.name)
def test_a_customer_buys_changes_and_cancels(device: Device, visit: Visit) -> None:
    customer = visit(device, reduced_motion="reduce")
    look, page = Look(customer), customer.page
    customer.open("/pricing")
    page.get_by_text("By the year").click()
    expect(page.get_by_text("$79.90")).to_be_visible()
    page.get_by_text("By the month").click()
    page.get_by_test_id("buy-remember").click()
    customer.fill_in("signup", f"buyer-{device.name}@example.org")
    page.get_by_test_id("buy-remember").click()
    expect(page.get_by_text("Test checkout: no money moves")).to_be_visible()
    look.at("test-checkout", "Rekindle Remember")
    page.get_by_test_id("test-pay").click()
    expect(page.get_by_test_id("subscription")).to_contain_text("$7.99 a month")
    expect(page.get_by_test_id("payments")).to_contain_text("Remember plan")
    look.at("account-paid", "Account")

    customer.open("/pricing")
    page.get_by_test_id("buy-small").click()
    page.get_by_test_id("test-pay").click()
    expect(page.get_by_test_id("payments")).to_contain_text("10 credits")
    customer.open("/pricing")
    page.get_by_test_id("amount").fill("12.50")
    expect(page.get_by_text("Brings 25 credits.")).to_be_visible()
    page.get_by_test_id("buy-amount").click()
    page.get_by_test_id("test-pay").click()
    expect(page.get_by_test_id("payments")).to_contain_text("25 credits")
    assert available(page.locator("dl").first.inner_text()) == 3 + 25 + 10 + 25

    customer.open("/pricing")
    page.get_by_test_id("change-cherish").click()
    expect(page.get_by_role("dialog")).to_contain_text("Cherish ($14.99 a month) holds as soon as")
    look.at("change-plan")
    page.get_by_test_id("confirm").click()
    expect(page.get_by_test_id("subscription")).to_contain_text("Cherish")

    page.get_by_test_id("cancel-plan").click()
    expect(page.get_by_role("dialog")).to_contain_text("All credits that are left on that day are lost")
    look.at("cancel-plan")
    page.get_by_test_id("confirm").click()
    expect(page.get_by_test_id("subscription")).to_contain_text("Ends")
    page.get_by_role("button", name="Keep the plan").click()
    expect(page.get_by_test_id("subscription")).to_contain_text("renews on")


def test_who_buys_before_the_server_knows_who_it_is(visit: Visit) -> None:
    """A customer who is quick is signed in all the same, and not sent to sign up."""
    customer = visit()
    page = customer.page
    customer.open()
    customer.sign_up()
    asked: list[Route] = []
    page.route("**/api/v1/me", lambda route: asked.append(route))  # noqa: PLW0108 - wants a function
    customer.open("/pricing")
    page.get_by_test_id("buy-small").click()
    expect(page.get_by_test_id("buy-small")).to_be_disabled()
    page.route("**/api/v1/me", lambda route: route.continue_())
    for request in asked:
        request.continue_()
    expect(page.get_by_text("Test checkout: no money moves")).to_be_visible()


def available(told: str) -> Decimal:
    return Decimal(told.split("At hand")[1].split(maxsplit=1)[0])


@pytest.mark.parametrize("device", DEVICES, ids=lambda device: device.name)
def test_a_plan_that_rests_says_so(device: Device, visit: Visit, served: Served) -> None:
    """A pause comes from the payment provider, which the test checkout can't do: the answer is put in its place."""
    customer = signed_in(visit, served, device)
    page = customer.page
    held = {"plan": "remember", "title": "Remember", "status": "paused", "interval": "month", "price_usd": "7.99"}
    dates = {"renews_at": "2027-04-01T12:00:00.000Z", "ends_at": None, "next_plan": None}
    lost = {
        "ends_at": dates["renews_at"],
        "credits_lost": 28,
        "meaning": "Remember rests now and ends on 1 April 2027.",
    }
    answer = {"subscription": held | dates, "if_cancelled": lost}
    page.route("**/api/v1/billing/subscription", lambda route: route.fulfill(json=answer))
    customer.open("/account")
    card = page.get_by_test_id("subscription")
    expect(card).to_contain_text("Paused")
    expect(card).to_contain_text("Your plan rests")
    expect(card).not_to_contain_text("renews on")
    expect(card).not_to_contain_text("Change the plan")
    Look(customer).at("account-paused", "Account")

    page.get_by_test_id("cancel-plan").click()
    expect(page.get_by_role("dialog")).to_contain_text("Remember rests now")
