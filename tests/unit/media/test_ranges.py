"""Conditional and partial requests."""

import pytest

from penstock.media.ranges import Part, UnsatisfiableRangeError, asked_part, is_known

ETAG = '"abc"'


@pytest.mark.parametrize(
    ("asked", "part"),
    [
        ("bytes=0-0", Part(0, 1)),
        ("bytes=10-19", Part(10, 20)),
        ("bytes=90-", Part(90, 100)),
        ("bytes=90-1000", Part(90, 100)),
        ("bytes=-10", Part(90, 100)),
        ("bytes=-1000", Part(0, 100)),
        ("Bytes=5-6", Part(5, 7)),
    ],
)
def test_one_range(asked: str, part: Part) -> None:
    assert asked_part({"range": asked}, ETAG, 100) == part


@pytest.mark.parametrize("asked", ["", "bytes=-", "bytes=5-3", "bytes=1-2,5-6", "rows=1-2", "bytes=a-b", "bytes=1-2x"])
def test_nonsense_and_what_is_not_offered_give_the_whole_file(asked: str) -> None:
    assert asked_part({"range": asked}, ETAG, 100) is None


@pytest.mark.parametrize(
    ("asked", "size"), [("bytes=100-", 100), ("bytes=500-600", 100), ("bytes=-0", 100), ("bytes=0-", 0)]
)
def test_ranges_outside_the_file(asked: str, size: int) -> None:
    with pytest.raises(UnsatisfiableRangeError):
        asked_part({"range": asked}, ETAG, size)


def test_if_range() -> None:
    assert asked_part({"range": "bytes=0-9", "if-range": ETAG}, ETAG, 100) == Part(0, 10)
    assert asked_part({"range": "bytes=0-9", "if-range": '"other"'}, ETAG, 100) is None


@pytest.mark.parametrize(
    ("given", "known"),
    [('"abc"', True), ('W/"abc"', True), ('"x", "abc"', True), ("*", True), ('"x"', False), ("", False)],
)
def test_if_none_match(given: str, known: bool) -> None:
    assert is_known({"if-none-match": given}, ETAG) is known
