"""A flow on a throw-away database, with a clock that moves when told to."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from penstock.jobs import run
from penstock.jobs.flow import Flow
from penstock.kit.clock import ManualClock
from tests.support.flows import FakeProvider, fund, open_flow
from tests.unit.jobs.scene import Scene


@pytest.fixture
def clock() -> ManualClock:
    """The time of `flow`."""
    return ManualClock()


@pytest.fixture
def provider() -> FakeProvider:
    """Who does the work in `flow`: at once, for nothing."""
    return FakeProvider()


@pytest.fixture
async def flow(
    tmp_path: Path, clock: ManualClock, provider: FakeProvider, database_url: str | None
) -> AsyncIterator[Flow]:
    """A flow with one provider and a funded customer, `acc_1`."""
    async with open_flow(tmp_path, provider, clock=clock, url=database_url) as opened:
        await fund(opened, "acc_1", 100)
        yield opened


@pytest.fixture
async def scene(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, database_url: str | None
) -> AsyncIterator[Scene]:
    """`main` bills nothing and `spare` stands in for it."""
    monkeypatch.setattr(run, "POLL_FIRST_S", 0.0)
    providers = FakeProvider("main"), FakeProvider("spare")
    async with open_flow(tmp_path, *providers, clock=clock, url=database_url) as flow:
        await fund(flow, "acc_1", 1_000)
        yield Scene(flow, clock, *providers)
