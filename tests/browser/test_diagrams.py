"""Diagrams in the browser: a template, the drawing, and hostile words that stay words."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from PIL import Image
from playwright.sync_api import Playwright, expect

from tests.browser import checks
from tests.browser.conftest import Visit
from tests.browser.visitor import DESKTOP, PHONE, Device, Visitor
from tests.support.served import ROOT, Served

HOSTILE = (
    "<script>parent.reached=1</script> -> \"] click n1 call alert(1): <img src=x onerror='parent.reached=1'>\n"
    '"] click n1 call alert(1) -> end: javascript:alert(1)'
)

# What a model may be talked into: each draws, and names something that lies elsewhere.
ELSEWHERE = (
    "sequenceDiagram\n rect url(https://elsewhere.example/a.svg#a)\n A->>A: hello\n end",
    "stateDiagram-v2\n a-->b\n classDef x fill:url(https://elsewhere.example/b.svg#b)\n class a x",
    "classDiagram\n class a\n style a fill:url(https://elsewhere.example/c.svg#c)",
    "classDiagram\n class a\n style a fill:u\\\\72l(https://elsewhere.example/d.svg#d)",
)
DRAW = """mermaid => new Promise(told => {
  const frame = document.createElement("iframe");
  frame.src = "/diagram.html";
  frame.sandbox = "allow-scripts";
  addEventListener("message", ({ data, source }) => {
    if (source !== frame.contentWindow) return;
    if (data.type === "ready") source.postMessage({ type: "draw", mermaid, dark: false }, "*");
    else told(data);
  });
  document.body.append(frame);
})"""


@pytest.fixture(scope="module")
def drawing(playwright: Playwright, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The example for diagrams, being served."""
    server = Served(tmp_path_factory.mktemp("diagrams"), ROOT / "examples" / "diagrams.toml")
    server.start()
    yield server
    server.stop()


def draw(visitor: Visitor) -> None:
    """Send what stands in the field, and wait until it is drawn."""
    visitor.submit()
    visitor.wait_for("succeeded")
    expect(visitor.page.get_by_test_id("diagram")).to_have_attribute("data-drawn", "true")


def words_drawn(visitor: Visitor) -> str:
    """Return the words in the drawing, without the breaks of its lines."""
    found = visitor.page.frame_locator("[data-testid=diagram]").locator("svg").text_content()
    return "".join((found or "").split())


def size_of(svg: str) -> tuple[int, int]:
    """Return the width and the height that a drawing says it has."""
    found = [re.search(rf'<svg[^>]* {name}="(\d+)"', svg) for name in ("width", "height")]
    width, height = (int(each[1]) for each in found if each is not None)
    return width, height


@pytest.mark.parametrize(("device", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")], ids=["desktop", "phone"])
def test_a_template_is_drawn_saved_and_taken_up_again(
    visit: Visit, drawing: Served, device: Device, scheme: str
) -> None:
    visitor = visit(device, to=drawing, color_scheme=scheme)
    visitor.open()
    page = visitor.page
    visitor.press(page.get_by_role("button", name="Steps with arrows"))
    expect(page.get_by_text("5 left this hour")).to_be_visible()
    assert checks.complaints(page, checks.overflow, checks.headings, checks.targets, checks.axe) == {}
    draw(visitor)
    assert "placesanorder" in words_drawn(visitor)
    assert checks.complaints(page, checks.overflow, checks.headings, checks.targets, checks.axe) == {}
    with page.expect_download() as saved:
        visitor.press(page.get_by_role("button", name="Save as SVG"))
    svg = saved.value.path().read_text("utf-8")
    assert svg.startswith("<svg")
    assert "places an order" in svg
    with page.expect_download() as painted:
        visitor.press(page.get_by_role("button", name="Save as PNG"))
    width, height = size_of(svg)
    with Image.open(painted.value.path()) as picture:
        assert (picture.format, picture.size) == ("PNG", (2 * width, 2 * height))
        assert picture.convert("RGBA").getchannel("A").getextrema() == (255, 255), "its ground must be opaque"
        darkest, lightest = cast("tuple[int, int]", picture.convert("L").getextrema())
        assert lightest - darkest > 100, "something must be drawn on it"
    with page.expect_download() as kept:
        visitor.press(page.get_by_role("button", name="Save as .mmd"))
    assert kept.value.path().read_text("utf-8").startswith("sequenceDiagram")
    visitor.press(page.get_by_role("link", name="Change and do it again"))
    expect(page.get_by_test_id("text")).to_have_value(
        "Customer -> Shop: places an order\nShop -> Stock: is it there?\nStock --> Shop: yes\n"
        "Shop -> Customer: sends it"
    )


def test_hostile_words_are_drawn_as_words_and_reach_nothing(visit: Visit, drawing: Served) -> None:
    visitor = visit(to=drawing)
    visitor.open()
    page = visitor.page
    page.get_by_test_id("text").fill(HOSTILE)
    draw(visitor)
    said = words_drawn(visitor)
    assert "<script>parent.reached=1</script>" in said
    assert "<imgsrc=xonerror='parent.reached=1'>" in said
    assert "end" in said
    assert page.evaluate("window.reached") is None
    frame = page.get_by_test_id("diagram").element_handle()
    assert frame is not None
    inside = frame.content_frame()
    assert inside is not None
    assert inside.evaluate("self.origin") == "null"
    assert inside.evaluate("document.querySelectorAll('script:not([type=module]), a, foreignObject, img').length") == 0


def test_the_frame_can_reach_neither_the_interface_nor_the_page(visit: Visit, drawing: Served) -> None:
    visitor = visit(to=drawing)
    visitor.expects("Content Security Policy")
    visitor.expects("policy: ")
    visitor.open()
    visitor.page.get_by_test_id("text").fill("A -> B")
    draw(visitor)
    frame = visitor.page.get_by_test_id("diagram").element_handle()
    assert frame is not None
    inside = frame.content_frame()
    assert inside is not None
    asked = "fetch('/api/v1/me').then(() => 'answered', () => 'refused')"
    assert inside.evaluate(asked) == "refused"
    assert inside.evaluate("(() => { try { return parent.document.title } catch { return 'refused' } })()") == "refused"
    assert inside.evaluate("(() => { try { return document.cookie } catch { return 'refused' } })()") == "refused"


def test_a_saved_drawing_loads_nothing_from_elsewhere(visit: Visit, drawing: Served, tmp_path: Path) -> None:
    visitor = visit(to=drawing)
    visitor.expects("")  # while Mermaid draws, the frame's policy refuses what it must; what is asked for is seen below
    visitor.open()
    asked: list[str] = []
    for number, text in enumerate(("flowchart TD\n a-->b", *ELSEWHERE)):
        told = visitor.page.evaluate(DRAW, text)
        assert told["type"] == "drawn", told
        saved = tmp_path / f"{number}.svg"
        saved.write_text(told["svg"], "utf-8")
        opened = visitor.page.context.new_page()
        opened.on("request", lambda request: asked.append(request.url))
        opened.goto(saved.as_uri())
        opened.wait_for_load_state("networkidle")
        opened.close()
        assert "elsewhere.example" not in told["svg"]
        assert ("marker-end" in told["svg"], "{" in told["svg"]) == (number in {0, 1, 2}, True), "the rest is as it was"
    assert [url for url in asked if not url.startswith("file:")] == []


def test_plans_without_credits_speak_of_none(visit: Visit, drawing: Served) -> None:
    visitor = visit(to=drawing)
    visitor.open("/pricing")
    expect(visitor.page.get_by_text("100 a day")).to_be_visible()
    assert "credit" not in visitor.page.inner_text("body").lower()
    visitor.sign_up()
    visitor.open("/account")
    expect(visitor.page.get_by_role("heading", name="Account")).to_be_visible()
    assert "credit" not in visitor.page.inner_text("body").lower()
