"""Every kind of mistake that a product file can hold: its line, its key, what is said and what is proposed."""

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from penstock.product.mistakes import ProductFileError, closest, dotted, listed
from tests.unit.product.samples import SAMPLE, changed, load, mistakes


class Case(NamedTuple):
    """A change to the sample, and the one mistake that follows."""

    old: str
    new: str
    told: str

    @property
    def line(self) -> int:
        return int(self.told.split(":")[1])

    @property
    def key(self) -> str:
        return self.told.split(": ")[1]


def _cases() -> list[Case]:
    text = Path(__file__).with_name("mistake_cases.txt").read_text(encoding="utf-8")
    blocks = [block.splitlines() for block in text.split("\n\n")[1:] if block.strip()]
    return [Case(*(line[2:].replace("\\n", "\n") for line in block)) for block in blocks]


CASES = _cases()


@pytest.mark.parametrize("case", CASES, ids=[case.told[:60] for case in CASES])
def test_a_mistake_is_told_with_its_line_and_what_to_write(tmp_path: Path, case: Case) -> None:
    (mistake,) = mistakes(tmp_path, changed((case.old, case.new)))
    assert mistake.render("rekindle.toml") == case.told


def test_the_cases_are_many_and_different() -> None:
    assert len(CASES) == len(set(CASES)) > 70
    reasons = {re.sub(r'".*?"|[0-9.]+', "…", case.told.split(": ", 2)[2]) for case in CASES}
    assert len(reasons) > 40


def test_the_line_is_where_the_wrong_text_stands() -> None:
    """The lines told, proved by the text itself: the line holds the key, or it opens the table that lacks it."""
    for case in CASES:
        named = changed((case.old, case.new)).splitlines()[case.line - 1]
        quoted = re.search(r'\."([^"]+)"$', case.key)
        last = quoted[1] if quoted else re.split(r"[.\[]", case.key)[-1].strip("]")
        if "is missing" in case.told:
            assert last not in named or "value =" in named or case.key == "name", case
        else:
            assert last in named or last.isdigit(), case


def test_the_sample_is_right(tmp_path: Path) -> None:
    assert mistakes(tmp_path, SAMPLE) == ()


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = changed(
        ('title = "Rekindle"\n', ""),
        ("price = 2", "prise = 2"),
        ('route = ["local", "gemini"]', 'route = ["lokal", "gemini"]'),
        ("default = 0.5", "default = 5"),
        ('title = "Plus"', "title = 7"),
        ('adapter = "gemini"', 'adapter = "gemeni"'),
    )
    with pytest.raises(ProductFileError) as caught:
        load(tmp_path, text)
    filename = str(tmp_path / "rekindle.toml")
    assert str(caught.value).replace(filename, "rekindle.toml").splitlines() == [
        'rekindle.toml:3: brand.title: is missing. For example: title = "Rekindle"',
        'rekindle.toml:20: operations.restore.prise: unknown key. Did you mean "price"?',
        'rekindle.toml:21: operations.restore.route[0]: there is no provider "lokal". Did you mean "local"?',
        "rekindle.toml:43: operations.restore.options.tone.default: is 5, but must be from 0 to 1.",
        'rekindle.toml:63: plans.plus.title: is 7, but must be text in quotes. Write "7" in quotes.',
        'rekindle.toml:77: providers.gemini.adapter: there is no adapter "gemeni". Did you mean "gemini"?',
    ]


def test_a_misspelt_table_does_not_hide_behind_what_follows_from_it(tmp_path: Path) -> None:
    text = changed(("[providers.local]", "[provider.local]"), ("[providers.gemini]", "[provider.gemini]"))
    (mistake,) = mistakes(tmp_path, text)
    assert (mistake.line, mistake.key, mistake.suggestion) == (74, "provider", 'Did you mean "providers"?')


def test_an_empty_file_lacks_five_things(tmp_path: Path) -> None:
    found = mistakes(tmp_path, "")
    assert [(mistake.key, mistake.line) for mistake in found] == [
        (key, 1) for key in ("name", "brand", "operations", "plans", "providers")
    ]


def test_no_message_speaks_the_language_of_the_library() -> None:
    spoken = " ".join(case.told for case in CASES).casefold()
    for word in ("input should", "valid", "extra", "permitted", "pydantic", "literal", "instance", "dict", "tuple"):
        assert word not in spoken


def test_paths_are_written_as_in_the_file() -> None:
    assert dotted(("operations", "a", "route", 0)) == "operations.a.route[0]"
    assert dotted(("texts", "error.busy.title")) == 'texts."error.busy.title"'
    assert dotted(("a", 1, "b")) == "a[1].b"


def test_words_are_offered_only_when_they_are_close() -> None:
    assert closest("prise", ["price", "prompt"]) == "price"
    assert closest("PRICE", ["price"]) == "price"
    assert closest("wholly else", ["price"]) is None
    assert listed(["a", "b", "c"], "or") == '"a", "b" or "c"'
    assert listed(["a"]) == '"a"'
