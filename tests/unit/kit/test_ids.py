"""Ids: typed, unguessable, and in the order in which they were made."""

import re
import time

import pytest

from penstock.kit.ids import new_id


def test_an_id_names_its_type_and_survives_any_address_bar() -> None:
    assert re.fullmatch(r"job_[0-9a-z]{27}", new_id("job"))


def test_ids_differ() -> None:
    assert len({new_id("job") for _ in range(10_000)}) == 10_000


def test_ids_sort_by_time(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = [0, 10**15, 10**18, 1_800_000_000 * 10**9, 1_800_000_001 * 10**9, 4_000_000_000 * 10**9]
    made = []
    for moment in moments:
        monkeypatch.setattr(time, "time_ns", lambda moment=moment: moment)
        made.append(new_id("job"))
    assert made == sorted(made)
