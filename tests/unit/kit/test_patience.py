"""Writes that must not be lost: asked again while the database is away, and done before a cancelled caller ends."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from penstock.kit import patience
from penstock.kit.database import Database, DatabaseUnavailableError
from penstock.kit.patience import Patient


class Troubled:
    """A database that is away for the first `away` writes and does the next one once `gate` is open."""

    def __init__(self, away: int = 0) -> None:
        self.away = away
        self.written: list[str] = []
        self.asked = asyncio.Event()
        self.gate = asyncio.Event()

    async def write(self, unit: Callable[..., str], *args: Any) -> str:
        self.asked.set()
        await self.gate.wait()
        if self.away:
            self.away -= 1
            raise DatabaseUnavailableError("away")
        self.written.append(unit(None, *args))
        return self.written[-1]

    def patient(self) -> Patient:
        return Patient(cast("Database", self))


def told(_tx: object, what: str) -> str:
    return what


async def test_a_database_that_comes_back_is_written_to_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "FIRST_PAUSE_S", 0.0)
    database = Troubled(away=3)
    database.gate.set()
    assert await database.patient().write(told, "paid") == "paid"
    assert database.written == ["paid"]


async def test_one_that_stays_away_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "PATIENCE_S", 0.0)
    database = Troubled(away=1)
    database.gate.set()
    with pytest.raises(DatabaseUnavailableError):
        await database.patient().write(told, "paid")


async def test_who_is_cancelled_ends_when_the_write_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "FIRST_PAUSE_S", 0.0)
    database = Troubled(away=2)
    writing = asyncio.create_task(database.patient().write(told, "paid"))
    await database.asked.wait()
    writing.cancel()
    await asyncio.sleep(0)
    assert not writing.done()
    database.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert database.written == ["paid"]


async def test_who_is_cancelled_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "CANCELLED_WAIT_S", 0.0)
    database = Troubled()
    writing = asyncio.create_task(database.patient().write(told, "paid"))
    await database.asked.wait()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    database.gate.set()
    for _ in range(3):
        await asyncio.sleep(0)
    assert database.written == [], "what it waited for no more goes on no more"
