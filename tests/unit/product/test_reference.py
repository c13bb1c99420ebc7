"""The schema for editors and the reference for readers say what the models say."""

import json
import re
import tomllib
from pathlib import Path

import jsonschema_rs
import pytest

from penstock.product.adapters import ADAPTERS
from penstock.product.reference import json_schema, markdown, node_at, tables_with
from penstock.product.settings import VARIABLES
from penstock.product.texts import PAGE_KEYS, UNAVAILABLE_KEY
from tests.unit.product.samples import SAMPLE, changed

ROOT = Path(__file__).parents[3]
DOCUMENT = (ROOT / "docs" / "product-file.md").read_text(encoding="utf-8")
EXAMPLE = (ROOT / "examples" / "rekindle.toml").read_text(encoding="utf-8")


def accepts(text: str) -> bool:
    return jsonschema_rs.Draft7Validator(json_schema()).is_valid(tomllib.loads(text))


def test_the_schema_is_a_schema_and_takes_correct_files() -> None:
    jsonschema_rs.meta.validate(json_schema())
    assert json_schema()["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert accepts(SAMPLE)
    assert accepts(EXAMPLE)
    assert json.loads(json.dumps(json_schema())) == json_schema()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("price = 2", "prise = 2"),
        ("price = 2", 'price = "2"'),
        ("max_mb = 50", "max_mb = 51"),
        ('kind = "toggle"', 'kind = "togle"'),
        ("[plans.plus]", "[plans.Plus]"),
        ('"#b4512d"', '"rust"'),
        ('title = "Restore"\n', ""),
    ],
)
def test_editors_see_what_the_check_sees(old: str, new: str) -> None:
    assert not accepts(changed((old, new)))


def test_every_key_has_a_description() -> None:
    definitions = json_schema()["definitions"]
    for table in [json_schema(), *definitions.values()]:
        for key, node in table["properties"].items():
            assert node.get("description"), key
            assert "null" not in json.dumps(node)  # TOML has no null


def test_the_documentation_holds_every_key_as_the_schema_has_it() -> None:
    generated = DOCUMENT.split("`penstock schema --markdown` -->\n\n")[1].split("<!-- end of keys -->")[0]
    assert generated == markdown(), "run: penstock schema --markdown, and put it into docs/product-file.md"
    for name, table in json_schema()["definitions"].items():
        for key in table["properties"]:
            assert f"| `{key}` |" in generated, f"{name}.{key}"


def test_the_documentation_names_every_variable_text_and_adapter() -> None:
    prose = DOCUMENT.split("## Every key")[0]
    assert set(re.findall(r"PENSTOCK_[A-Z_]+", prose)) == set(VARIABLES)
    for key in (*PAGE_KEYS, UNAVAILABLE_KEY):
        assert key in prose
    for name, adapter in ADAPTERS.items():
        (row,) = re.findall(rf"\| `{name}` \| (.*?) \|", prose)
        assert set(re.findall(r"`(\w+)`", row)) == adapter.tasks
        for options in adapter.options.values():
            for option, known in options.items():
                assert all(f"`{word}`" in prose for word in (option, *known.values))


def test_the_schema_answers_about_places() -> None:
    inner = node_at(("operations", "x", "options", "y", "choices", 3, "value"))
    assert inner is not None
    assert inner["type"] == "string"
    assert node_at(("operations", "x", "nowhere")) is None
    assert tables_with("watermark") == ["plans.NAME"]
    assert tables_with("name") == [""]
