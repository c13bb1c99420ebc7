"""Stages for the tests of accounts."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from tests.unit.accounts.stage import Stage, stage


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Stage]:
    """A product without visitors."""
    async with stage(tmp_path) as made:
        yield made


@pytest.fixture
async def open_shop(tmp_path: Path) -> AsyncIterator[Stage]:
    """A product with visitors."""
    async with stage(tmp_path, anonymous=True) as made:
        yield made


@pytest.fixture
async def program(shop: Stage) -> AsyncIterator[httpx2.AsyncClient]:
    """A program that calls `shop` and keeps no cookies unless it is given some."""
    async with shop.client() as client:
        yield client
