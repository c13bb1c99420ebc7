"""Signing in at a real OpenID provider, by its button, in a real browser; and out everywhere."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Playwright, expect

from tests.browser.conftest import Visit
from tests.browser.test_every_page import Look
from tests.browser.visitor import DESKTOP, DEVICES, Device, Visitor
from tests.support.openid_server import CLIENT_ID, CLIENT_SECRET, SECRET_ENV, OpenIdServer, openid_server
from tests.support.served import REKINDLE, Served

TABLE = """anonymous = true

[sign_in.openid.real]
title = "A Provider"
issuer = "{issuer}"
client_id = "{client_id}"
client_secret_env = "{variable}"
"""


@pytest.fixture(scope="module")
def provider() -> Iterator[OpenIdServer]:
    with openid_server() as server:
        yield server


@pytest.fixture(scope="module")
def shop(playwright: Playwright, provider: OpenIdServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Rekindle, with a button for the provider."""
    folder = tmp_path_factory.mktemp("openid")
    table = TABLE.format(issuer=provider.issuer, client_id=CLIENT_ID, variable=SECRET_ENV)
    file = folder / "rekindle.toml"
    file.write_text(REKINDLE.read_text("utf-8").replace("anonymous = true\n", table), "utf-8")
    server = Served(folder / "server", file, {SECRET_ENV: CLIENT_SECRET})
    server.start()
    yield server
    server.stop()


@pytest.mark.parametrize("device", DEVICES, ids=lambda device: device.name)
def test_a_customer_comes_by_the_button_and_leaves_everywhere(device: Device, visit: Visit, shop: Served) -> None:
    name = f"button-{device.name}"
    customer = arrives(visit, shop, device)
    look, page = Look(customer), customer.page
    customer.open("/sign-up")
    look.at("openid-sign-up", "Sign up")
    customer.open("/sign-in?next=/account")
    look.at("openid-sign-in", "Sign in")
    press_and_sign_in(customer, name)
    page.wait_for_url("**/account")
    expect(page.get_by_text(f"{name}@example.org")).to_be_visible()
    expect(page.get_by_text("not confirmed")).to_have_count(0)
    expect(page.get_by_text("From your plan")).to_be_visible()
    look.at("openid-account", "Account")

    elsewhere = arrives(visit, shop, DESKTOP)
    elsewhere.open("/sign-in?next=/account")
    press_and_sign_in(elsewhere, name)
    expect(elsewhere.page.get_by_text(f"{name}@example.org")).to_be_visible()
    elsewhere.press(elsewhere.page.get_by_test_id("sign-out-everywhere"))
    expect(elsewhere.page.get_by_role("navigation").get_by_role("link", name="Sign in")).to_be_visible()

    customer.expects_refusal(401)
    customer.open("/account")
    expect(page.get_by_role("heading", level=1, name="Sign in")).to_be_visible()


@pytest.mark.parametrize("device", DEVICES, ids=lambda device: device.name)
def test_who_is_not_let_in_is_told_why(device: Device, visit: Visit, shop: Served) -> None:
    name = f"refused-{device.name}"
    owner = visit(device, to=shop)
    owner.open("/sign-up")
    owner.fill_in("signup", f"{name}@example.org")
    expect(owner.page.get_by_role("navigation").get_by_role("link", name="Account")).to_be_visible()

    stranger = arrives(visit, shop, device)
    look, page = Look(stranger), stranger.page
    stranger.open("/sign-in")
    press_and_sign_in(stranger, name)
    expect(page.get_by_role("alert")).to_contain_text("There is an account with your e-mail address")
    expect(page.get_by_role("alert").get_by_role("link", name="Choose a new password")).to_be_visible()
    look.at("openid-refused", "Sign in")
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)

    shy = arrives(visit, shop, device)
    shy.open("/sign-in")
    shy.press(shy.page.get_by_test_id("openid-real"))
    shy.press(shy.page.get_by_role("button", name="Refuse"))
    expect(shy.page.get_by_role("alert")).to_contain_text("A Provider did not sign you in.")


def arrives(visit: Visit, shop: Served, device: Device) -> Visitor:
    """Somebody who will leave the site for the provider's."""
    visitor = visit(device, to=shop, reduced_motion="reduce")
    visitor.expects(r"left the site: http://127\.0\.0\.1:\d+/(auth|interaction|favicon)")
    return visitor


def press_and_sign_in(visitor: Visitor, name: str) -> None:
    """Press the provider's button, and say there who one is; it may still know."""
    page = visitor.page
    visitor.press(page.get_by_test_id("openid-real"))
    page.get_by_label("Who are you?").fill(name)
    visitor.press(page.get_by_role("button", name="Sign in"))
