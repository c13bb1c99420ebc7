"""Documents of vendors: whatever one writes, reading it ends, and what was read can be kept."""

import json

import pytest

from penstock.providers import documents
from penstock.providers.http import Reply, shortened


def test_what_no_database_keeps_is_replaced_wherever_it_stands() -> None:
    read = documents.read(
        rb'{"a\u0000": ["\ud800", {"b": "x\udfff y"}], "whole": "\ud83d\ude00", "escaped": "\\ud800"}'
    )
    assert read == {"a�": ["�", {"b": "x� y"}], "whole": "😀", "escaped": "\\ud800"}


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"a":' * 50_000, b'"\xed\xa0\x80"', b"{", b"9" * 5_000, b"\xff"])
def test_what_is_no_document_is_none(content: bytes) -> None:
    assert documents.read(content) is None
    assert Reply(200, {}, content).document() is None


def test_what_is_shown_to_operators_can_be_kept() -> None:
    assert shortened("no\x00 way \ud800") == "no� way �"


@pytest.mark.parametrize("counted", [-1, True, 10**20, 1.5, "7", None])
def test_what_is_no_count_counts_nothing(counted: object) -> None:
    assert documents.count(counted) == 0
    assert documents.count(documents.MAX_COUNT) == documents.MAX_COUNT


def test_a_document_within_a_text_is_read_the_same() -> None:
    assert documents.read(json.dumps({"mermaid": "\ud800"})) == {"mermaid": "�"}
