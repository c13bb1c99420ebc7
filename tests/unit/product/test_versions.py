"""Product files by version: kept once, read back as they were."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from penstock.kit.clock import ManualClock
from penstock.kit.database import Transaction, metadata
from penstock.kit.sqlite import SqliteDatabase
from penstock.product.loading import VERSION_CHARACTERS, LoadedProduct, parse_product, version_of
from penstock.product.mistakes import ProductFileError
from penstock.product.models import product_versions
from penstock.product.versions import UnknownVersionError, load_version, remember
from tests.unit.product.samples import SAMPLE, changed, load


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    path = tmp_path / "penstock.db"
    engine = create_engine(f"sqlite:///{path}")
    metadata.create_all(engine, tables=[product_versions])
    engine.dispose()
    opened = SqliteDatabase(path, clock=ManualClock(1_800_000_000))
    yield opened
    await opened.close()


def test_a_version_is_the_text_and_nothing_else(tmp_path: Path) -> None:
    loaded = load(tmp_path, SAMPLE, {"GEMINI_API_KEY": "k"})
    assert loaded.version == loaded.product.version == version_of(SAMPLE) == parse_product(SAMPLE).version
    assert len(loaded.version) == VERSION_CHARACTERS
    assert version_of(SAMPLE + "#") != loaded.version
    assert loaded.text == SAMPLE


async def test_a_version_is_kept_once_and_read_back(tmp_path: Path, database: SqliteDatabase) -> None:
    old = load(tmp_path, SAMPLE)
    new = load(tmp_path, changed(("price = 2", "price = 5")))
    assert await database.write(remember, old) is True
    assert await database.write(remember, old) is False
    assert await database.write(remember, new) is True
    then = await database.read(load_version, old.version)
    now = await database.read(load_version, new.version)
    assert (then.operations["restore"].price, now.operations["restore"].price) == (2, 5)
    assert then.version == old.version
    assert await database.read(_count) == 2


async def test_a_version_is_parsed_once(tmp_path: Path, database: SqliteDatabase) -> None:
    loaded = load(tmp_path, SAMPLE)
    await database.write(remember, loaded)
    assert await database.read(load_version, loaded.version) is await database.read(load_version, loaded.version)


async def test_an_unknown_version_is_said(database: SqliteDatabase) -> None:
    with pytest.raises(UnknownVersionError, match="no product file of version abc"):
        await database.read(load_version, "abc")


async def test_a_kept_text_that_is_no_longer_right_is_said(tmp_path: Path, database: SqliteDatabase) -> None:
    text = changed(("price = 2", "prise = 2"))
    stale = LoadedProduct(parse_product(SAMPLE), text, version_of(text), ())
    await database.write(remember, stale)
    with pytest.raises(ProductFileError, match=rf"product {stale.version}:21: operations\.restore\.prise"):
        await database.read(load_version, stale.version)


def _count(tx: Transaction) -> int:
    return int(tx.value("SELECT count(*) FROM product_versions"))
