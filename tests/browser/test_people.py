"""Strangers and customers: what is whose, and what moves along when a stranger becomes a customer."""

import re

from playwright.sync_api import Route, expect

from tests.browser.conftest import Visit
from tests.browser.pictures import Pictures
from tests.browser.visitor import PHONE, Visitor


def test_a_picture_brought_before_signing_up_is_kept(visit: Visit, pictures: Pictures) -> None:
    visitor = visit(PHONE)
    visitor.open()
    upload = visitor.pick(pictures.scene)
    visitor.press(visitor.page.get_by_test_id("sign-up-to-start"))
    visitor.fill_in("signup", "later@example.org")
    visitor.page.wait_for_url(f"**/edit/{upload}")
    visitor.has_credits(3)
    expect(visitor.page.get_by_test_id("submit-job")).to_have_text("Restore · 2 credits")
    visitor.submit()
    visitor.wait_for("succeeded")
    visitor.has_credits(1)


def test_one_sees_nothing_of_another(visit: Visit, pictures: Pictures) -> None:
    first, second = visit(), visit()
    first.open()
    first.sign_up()
    job = first.order("perspective", pictures.scene)
    first.open(f"/jobs/{job}")
    first.wait_for("succeeded")
    result = first.ask(f"/jobs/{job}")["result"]["id"]
    upload = first.ask(f"/jobs/{job}")["inputs"]["picture"]

    second.expects_refusal(404)
    second.open()
    second.sign_up()
    sees_nothing(second, job, upload)
    second.follow("Gallery")
    expect(second.page.get_by_text("Nothing here yet.")).to_be_visible()
    answer = second.context.request.get(f"{second.url}/api/v1/results/{result}/file?variant=full")
    assert answer.status == 404


def test_after_signing_out_a_shared_computer_tells_nothing(visit: Visit, pictures: Pictures) -> None:
    customer = visit()
    customer.expects_refusal(404)
    customer.open()
    email = customer.sign_up()
    job = customer.order("perspective", pictures.scene)
    upload = customer.pick(pictures.cat)
    customer.follow("Gallery")
    expect(customer.page.get_by_test_id("gallery-item").locator("img")).to_be_visible()
    customer.follow("Account")
    with customer.page.expect_response("**/api/v1/me"):  # who this is now: a visitor
        customer.press(customer.page.get_by_test_id("sign-out"))
    expect(customer.page.get_by_role("navigation").get_by_role("link", name="Sign in")).to_be_visible()

    customer.page.go_back()
    expect(customer.page.get_by_text("Visitor without an account")).to_be_visible()
    expect(customer.page.get_by_text(email)).to_have_count(0)
    customer.page.go_back()
    expect(customer.page.get_by_text("Nothing here yet.")).to_be_visible()
    customer.page.go_back()
    expect(customer.page.get_by_role("heading", level=1, name="This picture is not here any more")).to_be_visible()
    sees_nothing(customer, job, upload)

    customer.follow("Sign in")
    customer.fill_in("signin", email)
    expect(customer.page.get_by_role("navigation").get_by_role("link", name="Account")).to_be_visible()
    customer.follow("Gallery")
    expect(customer.page.get_by_test_id("gallery-item")).to_have_count(1)


def test_who_goes_back_before_the_server_knows_who_it_is_now(visit: Visit) -> None:
    customer = visit()
    customer.open()
    email = customer.sign_up()
    customer.follow("Account")
    expect(customer.page.get_by_text(email)).to_be_visible()
    asked: list[Route] = []
    customer.page.route("**/api/v1/me", lambda route: asked.append(route))  # noqa: PLW0108 - wants a function
    with customer.page.expect_request("**/api/v1/me"):
        customer.press(customer.page.get_by_test_id("sign-out"))

    customer.page.go_back()

    expect(customer.page.get_by_role("main").get_by_text("Loading…")).to_be_visible()
    for request in asked:
        request.continue_()
    expect(customer.page.get_by_text("Visitor without an account")).to_be_visible()


def test_without_any_account_the_account_page_leads_to_signing_in(visit: Visit) -> None:
    stranger = visit()
    stranger.expects_refusal(429)
    crowded = {"status": 429, "code": "rate_limited", "title": "Too many", "detail": "Please come back later."}
    stranger.page.route("**/api/v1/me", lambda route: route.fulfill(status=429, json=crowded))
    stranger.open("/account")
    stranger.page.wait_for_url("**/sign-in?next=/account")
    expect(stranger.page.get_by_role("heading", level=1, name="Sign in")).to_be_focused()


def test_a_wrong_password_and_a_short_one_are_told_apart(visit: Visit) -> None:
    stranger = visit(PHONE)
    stranger.expects_refusal(401)
    stranger.expects_refusal(422)
    stranger.open("/sign-in")
    stranger.fill_in("signin", "nobody@example.org", "certainly not this one")
    expect(stranger.page.get_by_role("alert")).to_be_visible()
    expect(stranger.page.get_by_test_id("signin-email")).to_have_value("nobody@example.org")
    stranger.press(stranger.page.get_by_role("link", name="Sign up"))
    stranger.fill_in("signup", "nobody@example.org", "short")
    password = stranger.page.get_by_test_id("signup-password")
    expect(password).to_be_focused()
    expect(password).to_have_accessible_description(re.compile("at least 8 characters"))


def sees_nothing(person: Visitor, job: str, upload: str) -> None:
    """Neither the job nor the picture of somebody else can be opened."""
    person.open(f"/jobs/{job}")
    expect(person.page.get_by_role("alert")).to_be_visible()
    expect(person.page.locator("main img")).to_have_count(0)
    person.open(f"/edit/{upload}")
    expect(person.page.get_by_role("heading", level=1, name="This picture is not here any more")).to_be_visible()
