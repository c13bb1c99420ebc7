"""Products that start from a picture or from words: both ways, what is off, and a picture that comes with words."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Playwright, expect

from tests.browser.conftest import Visit
from tests.browser.pictures import Pictures
from tests.browser.test_every_page import Look
from tests.browser.visitor import DESKTOP, DEVICES, PHONE, Device
from tests.support.served import ROOT, Served
from tests.support.vendors.beside import beside
from tests.support.vendors.google import GoogleStandIn
from tests.support.vendors.wire import KEY

EXAMPLES = ROOT / "examples"
REPAINT = """
[operations.repaint]
title = "Repaint"
description = "Paints it as you say."
task = "edit"
prompt = "{wish} Leave out: {without}"
price = 0
route = ["qwen"]
inputs.picture = { kind = "picture", title = "Your picture" }
inputs.wish = { kind = "text", title = "What should change?", max_characters = 40 }
inputs.without = { kind = "text", title = "What should it not show?", required = false }
"""


@pytest.fixture(scope="module")
def without_keys(playwright: Playwright, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Imagine without the outside services."""
    server = Served(tmp_path_factory.mktemp("imagine"), EXAMPLES / "imagine.toml")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def vendor() -> Iterator[GoogleStandIn]:
    """Who makes pictures of words here."""
    with beside(GoogleStandIn()) as stand_in:
        yield stand_in


def pointed(text: str, vendor: GoogleStandIn) -> str:
    """An example whose pictures come from the stand-in."""
    google = f'adapter = "gemini"\nkey_env = "VENDOR_KEY"\nbase_url = "{vendor.url}/v1"'
    model = 'model = "gemini-nano-banana-2.1"\ncost_usd = "0.01"\n'
    before, _, after = text.partition("[providers.qwen]")
    rest = after[after.index("[providers.") :]
    return f"{before}[providers.qwen]\n{google}\n{model}{rest}"


@pytest.fixture(scope="module")
def imagine(
    playwright: Playwright, vendor: GoogleStandIn, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """Imagine with somebody who makes pictures of words, and an operation that takes both."""
    folder = tmp_path_factory.mktemp("imagine-with-words")
    path = folder / "imagine.toml"
    text = (EXAMPLES / "imagine.toml").read_text("utf-8")
    path.write_text(pointed(text, vendor).replace("[plans.free]", REPAINT + "\n[plans.free]"), "utf-8")
    server = Served(folder, path, {"VENDOR_KEY": KEY})
    server.start()
    yield server
    server.stop()


@pytest.mark.parametrize("device", DEVICES, ids=lambda device: device.name)
def test_ways_that_are_off_say_so(device: Device, visit: Visit, without_keys: Served) -> None:
    visitor = visit(device, to=without_keys, reduced_motion="reduce")
    look, page = Look(visitor), visitor.page
    visitor.open()
    expect(page.get_by_test_id("way-picture")).to_be_checked()
    expect(page.get_by_test_id("drop-zone")).to_be_visible()
    page.get_by_test_id("way-words").check()
    expect(page.get_by_test_id("operation-picture")).to_be_disabled()
    expect(page.get_by_text("Not available now")).to_have_count(2)
    expect(page.get_by_test_id("submit-job")).to_have_count(0)
    look.at("words-off")


@pytest.mark.parametrize("device", DEVICES, ids=lambda device: device.name)
def test_a_picture_is_made_of_words_and_made_again(
    device: Device, visit: Visit, imagine: Served, vendor: GoogleStandIn
) -> None:
    visitor = visit(device, to=imagine, reduced_motion="reduce")
    look, page = Look(visitor), visitor.page
    visitor.open()
    page.get_by_test_id("way-words").check()
    expect(page.get_by_test_id("submit-job")).to_be_disabled()
    page.get_by_label("What should it show?").fill("A fox who bakes bread")
    expect(page.get_by_text("3 left this hour.")).to_be_visible()
    look.at("words")
    visitor.submit()
    visitor.wait_for("succeeded")
    assert "A fox who bakes bread" in vendor.orders[-1].body.decode()
    expect(page.get_by_role("img", name="The result")).to_be_visible()
    look.at("words-result", "Here it is")
    visitor.press(page.get_by_role("link", name="Change and do it again"))
    expect(page.get_by_test_id("way-words")).to_be_checked()
    expect(page.get_by_test_id("text")).to_have_value("A fox who bakes bread")
    page.get_by_test_id("way-picture").check()
    expect(page.get_by_test_id("drop-zone")).to_be_visible()


def test_words_come_along_with_a_picture(
    visit: Visit, imagine: Served, vendor: GoogleStandIn, pictures: Pictures
) -> None:
    visitor = visit(PHONE, to=imagine, reduced_motion="reduce")
    look, page = Look(visitor), visitor.page
    visitor.open()
    visitor.pick(pictures.cat)
    page.get_by_test_id("operation-repaint").check()
    expect(page.get_by_test_id("submit-job")).to_be_disabled()
    page.get_by_label("What should change?").fill("x" * 41)
    expect(page.get_by_role("alert")).to_contain_text("41 characters, and 40 are taken")
    expect(page.get_by_test_id("submit-job")).to_be_disabled()
    page.get_by_label("What should change?").fill("Give the cat a hat")
    look.at("words-and-picture")
    visitor.submit()
    visitor.wait_for("succeeded")
    assert "Give the cat a hat" in vendor.orders[-1].body.decode()


def test_words_come_first_where_no_picture_can_be_used(
    visit: Visit, playwright: Playwright, vendor: GoogleStandIn, tmp_path: Path
) -> None:
    path = tmp_path / "imagine.toml"
    text = (EXAMPLES / "imagine.toml").read_text("utf-8").replace('route = ["local"]', 'route = ["wan"]')
    path.write_text(_films_only(pointed(text, vendor)), "utf-8")
    server = Served(tmp_path, path, {"VENDOR_KEY": KEY})
    server.start()
    try:
        visitor = visit(DESKTOP, to=server)
        visitor.open()
        expect(visitor.page.get_by_test_id("way-words")).to_be_checked()
        expect(visitor.page.get_by_test_id("text")).to_be_visible()
    finally:
        server.stop()


def _films_only(text: str) -> str:
    """Leave out every operation on pictures but the one whose provider has no key."""
    parts = text.split("\n[operations.")
    kept = [part for part in parts[1:] if part.startswith(("picture]", "bring_to_life]"))]
    tail = parts[-1][parts[-1].index("\n# Over these limits") :]
    return "\n[operations.".join([parts[0], *kept]) + "\n" + tail
