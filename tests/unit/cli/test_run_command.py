"""`penstock run`: one job through the whole flow from the command line."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from training.photographs import photograph as photograph_of
from typer.testing import CliRunner, Result

from penstock.cli.main import make_app

REKINDLE = Path(__file__).parents[3] / "examples" / "rekindle.toml"


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    path = tmp_path / "grandma.jpg"
    Image.fromarray(photograph_of("astronaut", 256)).save(path, quality=95)
    return path


def _run(tmp_path: Path, *arguments: str) -> Result:
    return CliRunner().invoke(make_app(), ["run", str(REKINDLE), *arguments, "--out", str(tmp_path / "out")])


def test_a_result_before_and_after_and_what_it_cost(tmp_path: Path, photograph: Path) -> None:
    done = _run(tmp_path, "perspective", str(photograph), "-o", "corners=0.1,0.1,0.9,0.1,0.9,0.9,0.1,0.9")

    assert done.exit_code == 0, done.output
    assert "and cost 1 credits." in done.output
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {
        "grandma-perspective.jpg",
        "grandma-perspective-thumb.webp",
        "grandma-perspective-compare.jpg",
        "grandma-perspective-original.jpg",
    }
    with Image.open(tmp_path / "out" / "grandma-perspective.jpg") as image:
        assert abs(image.width - 205) <= 1


def test_a_colouring_page_comes_with_everything_to_print(tmp_path: Path, photograph: Path) -> None:
    done = _run(tmp_path, "colouring_page", str(photograph), "-o", "detail=kids")
    assert done.exit_code == 0, done.output
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"grandma-colouring_page.svg", "grandma-colouring_page-pdf-a4.pdf"} <= names


def test_a_plan_with_a_watermark_gives_the_picture_alone(tmp_path: Path, photograph: Path) -> None:
    done = _run(tmp_path, "colouring_page", str(photograph), "-o", "detail=kids", "--plan", "free")
    assert done.exit_code == 0, done.output
    assert not list((tmp_path / "out").glob("*.svg"))


def test_a_job_that_fails_says_why_and_exits_with_1(tmp_path: Path) -> None:
    plain = tmp_path / "plain.png"
    Image.fromarray(np.full((200, 300, 3), 120, np.uint8)).save(plain)
    done = _run(tmp_path, "perspective", str(plain))
    assert done.exit_code == 1
    assert "drag the corners" in done.output


def test_a_file_that_is_no_picture(tmp_path: Path) -> None:
    text = tmp_path / "text.jpg"
    text.write_text("not a picture")
    done = _run(tmp_path, "perspective", str(text))
    assert done.exit_code == 1
    assert "not a picture" in done.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("paint", "{photo}"), "There is no operation “paint”"),
        (("perspective", "/nowhere.jpg"), "/nowhere.jpg is not a file"),
        (("perspective", "{photo}", "{photo}"), "takes 1 inputs, not 2"),
        (("perspective", "{photo}", "-o", "size=3"), "“size=3” is not an option"),
        (("restore", "{photo}", "-o", "grain=maybe"), "takes on or off"),
        (("restore", "{photo}", "-o", "tone=much"), "takes a number"),
        (("restore", "{photo}", "-o", "corners=1,2"), "takes x,y,x,y,x,y,x,y"),
        (("restore", "{photo}", "--plan", "gold"), "There is no plan “gold”"),
    ],
)
def test_wrong_use_is_said_before_anything_is_done(
    tmp_path: Path, photograph: Path, arguments: tuple[str, ...], said: str
) -> None:
    done = _run(tmp_path, *(argument.format(photo=photograph) for argument in arguments))
    assert done.exit_code == 2
    assert said in done.output
    assert not (tmp_path / "out").exists()
