"""Colouring pages: clean one-channel lines, SVG that parses, a page of the right size to print."""

import io
import re
from xml.etree import ElementTree

import cv2
import numpy as np
import pikepdf
import pytest
from training.photographs import photograph

from penstock.imaging.lineart import (
    OVERSAMPLING,
    PAPERS_MM,
    PRINT_DPI,
    STYLES,
    Paper,
    Preset,
    line_art,
    line_art_pdf,
    line_art_svg,
)
from penstock.imaging.picture import BadPicture, Plane

POINTS_PER_MM = 72 / 25.4
MIN_AREA = 25  # pixels of the smallest white or black area at the kids' size


@pytest.fixture(scope="module")
def page() -> Plane:
    return line_art(photograph("astronaut", 300), "kids")


def test_a_page_is_one_channel_of_ink_on_paper(page: Plane) -> None:
    assert page.dtype == np.uint8
    assert page.ndim == 2
    assert 0.01 < (page < 128).mean() < 0.35
    assert ((page < 16) | (page > 239)).mean() > 0.85


def test_there_are_no_specks(page: Plane) -> None:
    for area, connectivity in ((page > 127, 4), (page <= 127, 8)):
        stats = cv2.connectedComponentsWithStats(area.astype(np.uint8), connectivity=connectivity)[2]
        assert np.asarray(stats)[1:, cv2.CC_STAT_AREA].min() >= MIN_AREA


@pytest.mark.parametrize("preset", list(STYLES))
def test_each_preset_has_its_size(preset: Preset) -> None:
    assert min(line_art(photograph("coffee", 200), preset).shape) == STYLES[preset].short_side * OVERSAMPLING


def test_more_detail_draws_finer_lines() -> None:
    """Measured against the height of the page, a detailed drawing has the longer outline."""
    outline: dict[str, float] = {}
    for preset in ("simple", "kids"):
        drawing = line_art(photograph("china", 300), preset)
        outline[preset] = (cv2.Laplacian(drawing, cv2.CV_16S) != 0).sum() / min(drawing.shape)
    assert outline["simple"] > outline["kids"]


def test_a_blank_picture_gives_a_blank_page() -> None:
    assert line_art(np.full((80, 120, 3), 90, np.uint8), "kids").min() == 255


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (5, 900)])
def test_tiny_and_narrow_pictures_can_be_drawn(shape: tuple[int, int]) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (*shape, 3), np.uint8)
    assert line_art(picture, "kids").ndim == 2


def test_what_is_not_a_picture_is_refused() -> None:
    with pytest.raises(BadPicture):
        line_art(np.zeros((5, 5), np.uint8))


def test_svg_parses_and_has_the_size_of_the_page(page: Plane) -> None:
    root = ElementTree.fromstring(line_art_svg(page))
    assert root.tag.endswith("svg")
    assert (int(root.attrib["width"]), int(root.attrib["height"])) == page.shape[1::-1]
    assert len(root.findall(".//{http://www.w3.org/2000/svg}path")) > 10


@pytest.mark.parametrize("paper", list(PAPERS_MM))
def test_a_pdf_is_one_page_of_the_paper_at_300_dpi(page: Plane, paper: Paper) -> None:
    content = line_art_pdf(page, paper)
    with pikepdf.open(io.BytesIO(content)) as document:
        (sheet,) = document.pages
        size = [float(side) for side in sheet.mediabox][2:]
        assert size == pytest.approx([side * POINTS_PER_MM for side in PAPERS_MM[paper]], abs=0.5)
        (image,) = sheet.get_images().values()
        assert str(image.Filter).find("CCITTFaxDecode") >= 0
        assert int(image.Width) == round(PAPERS_MM[paper][0] / 25.4 * PRINT_DPI)
    assert len(content) < 200_000


def test_a_wide_picture_turns_the_paper() -> None:
    wide = np.full((200, 300), 255, np.uint8)
    with pikepdf.open(io.BytesIO(line_art_pdf(wide, "a4"))) as document:
        width, height = (float(side) for side in list(document.pages[0].mediabox)[2:])
        assert width > height


def test_a_pdf_carries_nothing_of_the_machine(page: Plane) -> None:
    assert not re.search(rb"/(home|root|tmp|Users)/", line_art_pdf(page, "a4"))
