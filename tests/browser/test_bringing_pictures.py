"""Every way in which a picture can come, and what is told to those who bring something else."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.pictures import Pictures
from tests.browser.visitor import DESKTOP, PHONE, Visitor


def test_the_file_chooser_and_the_camera(visit: Visit, pictures: Pictures) -> None:
    visitor = visit(PHONE)
    visitor.open()
    for button in ("Use the camera", "Choose a picture"):
        with visitor.page.expect_file_chooser() as asked:
            visitor.press(visitor.page.get_by_text(button, exact=True))
        asked.value.set_files(pictures.cat)
        expect(visitor.corner(0)).to_be_visible()
        visitor.follow("Start")


def test_a_picture_dropped_anywhere_on_the_page(visit: Visit, pictures: Pictures) -> None:
    visitor = visit(DESKTOP)
    visitor.open()
    drag(visitor, pictures.cat, "dragEnter", "dragOver")
    expect(visitor.page.get_by_text("Let go to add the picture")).to_be_visible()
    drag(visitor, pictures.cat, "drop")
    expect(visitor.corner(0)).to_be_visible()


def test_a_picture_pasted_from_the_clipboard(visit: Visit) -> None:
    visitor = visit(DESKTOP, permissions=["clipboard-read", "clipboard-write"])
    visitor.open()
    visitor.page.evaluate("""async () => {
      const canvas = Object.assign(document.createElement("canvas"), { width: 400, height: 300 });
      canvas.getContext("2d").fillRect(40, 30, 200, 200);
      const png = await new Promise((made) => canvas.toBlob(made, "image/png"));
      await navigator.clipboard.write([new ClipboardItem({ "image/png": png })]);
    }""")
    visitor.page.keyboard.press("Control+V")
    expect(visitor.corner(0)).to_be_visible()


@pytest.mark.parametrize(
    ("file", "status", "told"),
    [
        ("empty", None, "That file is empty"),
        ("text", 415, "This file is not a picture that can be read."),
        ("too_large", None, "That picture is too large"),
    ],
)
def test_what_is_no_picture_is_refused_and_the_app_goes_on(
    file: str, status: int | None, told: str, visit: Visit, pictures: Pictures
) -> None:
    visitor = visit(PHONE)
    if status is not None:
        visitor.expects_refusal(status)
    visitor.open()
    visitor.page.get_by_test_id("file-input").set_input_files(getattr(pictures, file))
    expect(visitor.page.get_by_role("alert")).to_contain_text(told)
    visitor.pick(pictures.cat)
    expect(visitor.page.get_by_role("alert")).to_have_count(0)


def drag(visitor: Visitor, file: Path, *kinds: str) -> None:
    """Drag a file over the page as the system does, which no script of a page can."""
    session = visitor.context.new_cdp_session(visitor.page)
    carried = {"items": [], "files": [str(file)], "dragOperationsMask": 1}
    for kind in kinds:
        session.send("Input.dispatchDragEvent", {"type": kind, "x": 60, "y": 700, "data": carried})
    session.detach()
