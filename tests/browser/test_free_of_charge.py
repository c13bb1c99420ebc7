"""Imagine in the browser: a video that plays, and a donation; ColoringBook: a balance in dollars."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Playwright, expect

from tests.browser.conftest import Visit
from tests.browser.pictures import Pictures
from tests.browser.test_every_page import Look
from tests.browser.visitor import DEVICES, PHONE, Device
from tests.support.served import ROOT, Served

PLAYED = """(video) => new Promise((done) => {
  video.muted = true;
  video.ontimeupdate = () => done(video.currentTime);
  video.play();
})"""


def serving(name: str, folder: Path) -> Iterator[Served]:
    server = Served(folder, ROOT / "examples" / f"{name}.toml")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def imagine(playwright: Playwright, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    yield from serving("imagine", tmp_path_factory.mktemp("imagine"))


@pytest.fixture(scope="module")
def coloringbook(playwright: Playwright, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    yield from serving("coloringbook", tmp_path_factory.mktemp("coloringbook"))


@pytest.mark.parametrize("device", DEVICES, ids=lambda device: device.name)
def test_a_visitor_makes_a_video_and_donates(device: Device, visit: Visit, imagine: Served, pictures: Pictures) -> None:
    visitor = visit(device, to=imagine, reduced_motion="reduce")
    look, page = Look(visitor), visitor.page
    visitor.open()
    look.at("imagine-home")
    visitor.pick(pictures.cat)
    page.get_by_test_id("operation-animate").check()
    visitor.submit()
    visitor.wait_for("succeeded")
    video = page.get_by_test_id("video")
    expect(video).to_have_js_property("readyState", 4)
    assert video.evaluate(PLAYED) >= 0
    assert video.evaluate("(video) => [video.videoWidth > 0, Math.round(video.duration), video.error]") == [
        True,
        5,
        None,
    ]
    video.evaluate("(video) => { video.pause(); video.currentTime = 3; }")
    expect(video).to_have_js_property("seeking", False)
    look.at("video", "Here it is")
    expect(page.get_by_test_id("download-full")).to_contain_text("MP4")
    visitor.open("/gallery")
    expect(page.locator("article img")).to_be_visible()
    look.at("video-gallery")

    visitor.open("/pricing")
    look.at("imagine-pricing", "Free for everybody")
    expect(page.get_by_role("heading", name="Just looking")).to_be_visible()
    visitor.open("/donate?from=result")
    page.get_by_role("button", name="$10").click()
    look.at("donate", "Donate")
    page.get_by_test_id("donate").click()
    visitor.fill_in("signup", f"donor-{device.name}@example.org")
    page.get_by_test_id("donation").fill("10")
    page.get_by_test_id("donate").click()
    page.get_by_test_id("test-pay").click()
    expect(page.get_by_test_id("payments")).to_contain_text("Donation to Imagine")
    expect(page.get_by_text("Plan: Donor")).to_be_visible()
    look.at("donor-account", "Account")
    visitor.open("/pricing")
    expect(page.get_by_text("Your plan")).to_be_visible()
    expect(page.get_by_role("heading", name="Just looking")).to_be_hidden()


def test_a_balance_is_read_in_dollars(visit: Visit, coloringbook: Served, pictures: Pictures) -> None:
    visitor = visit(PHONE, to=coloringbook, reduced_motion="reduce")
    look, page = Look(visitor), visitor.page
    visitor.open()
    look.at("coloringbook-home")
    visitor.sign_up()
    expect(page.get_by_test_id("credits-available")).to_have_text("$1.50")
    visitor.open("/")
    visitor.pick(pictures.cat)
    expect(page.get_by_text("You have $1.50; $1.00 left after this.")).to_be_visible()
    look.at("coloringbook-edit")
    visitor.open("/pricing")
    page.get_by_test_id("amount").fill("5")
    look.at("coloringbook-pricing", "Prices")
    page.get_by_test_id("buy-amount").click()
    page.get_by_test_id("test-pay").click()
    expect(page.get_by_test_id("payments")).to_contain_text("Deposit: $5.00")
    expect(page.get_by_test_id("credits-available")).to_have_text("$6.50")
    look.at("coloringbook-account", "Account")
