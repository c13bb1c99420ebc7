"""A process whose files lie in a bucket: it starts only if that can be used, and says when it no longer can."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from penstock.app import health
from penstock.app.wiring import open_services
from penstock.kit.errors import Problem
from penstock.product.settings import Settings
from tests.support import s3
from tests.support.flows import PATIENCE_S, make_product
from tests.support.proxy import Proxy, proxy
from tests.support.s3 import ENVIRONMENT, SECRET_KEY
from tests.support.servers import SECRET, loaded, running
from tests.unit.app.test_health import health_of


@pytest_asyncio.fixture
async def way(s3_server: s3.Server) -> AsyncIterator[Proxy]:
    async with proxy(s3_server.port) as made:
        yield made


@pytest.fixture
def settings(tmp_path: Path, way: Proxy, s3_server: s3.Server) -> Settings:
    """Settings with an empty bucket behind the proxy."""
    return Settings(data_dir=tmp_path, secret=SECRET, storage=s3.new_bucket(s3_server, way.url).address)


async def refused(settings: Settings, environment: dict[str, str]) -> str:
    with pytest.raises(Problem) as caught:
        async with open_services(settings, loaded(make_product()), environment):
            pytest.fail("it started")
    assert caught.value.code == "unavailable"
    assert SECRET_KEY not in caught.value.detail
    return caught.value.detail


async def test_what_keeps_a_process_from_starting(settings: Settings, way: Proxy) -> None:
    assert settings.storage is not None
    assert "set AWS_ACCESS_KEY_ID" in await refused(settings, {})
    wrong = ENVIRONMENT | {"AWS_SECRET_ACCESS_KEY": "another"}
    assert "refused the keys" in await refused(settings, wrong)
    elsewhere = replace(settings, storage=replace(settings.storage, bucket="nowhere-at-all"))
    assert "There is no such bucket" in await refused(elsewhere, dict(ENVIRONMENT))
    way.away = True
    assert "can't be reached" in await refused(settings, dict(ENVIRONMENT))
    way.away = False
    async with open_services(settings, loaded(make_product()), ENVIRONMENT) as services:
        assert services.storage.bucket is not None


async def test_health_says_when_it_is_away(
    tmp_path: Path, settings: Settings, way: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit in ("DATABASE_S", "BUCKET_S"):  # however busy the machine is, who answers is well
        monkeypatch.setattr(health, limit, PATIENCE_S)
    async with running(tmp_path, settings=settings, environment=ENVIRONMENT) as run:
        before = await health_of(run)
        seen = way.seen
        await health_of(run)
        assert way.seen == seen, "the answer counts for a while"
        monkeypatch.setattr(health, "KEEP_BUCKET_S", -1.0)
        way.away = True
        away = await health_of(run)
        way.away, way.silent = False, True
        monkeypatch.setattr(health, "BUCKET_S", 0.05)
        silent = await health_of(run)
        way.silent = False
        monkeypatch.setattr(health, "BUCKET_S", PATIENCE_S)
        after = await health_of(run)
    for status, body in (away, silent):
        assert (status, body["status"], body["checks"]["storage"]) == (200, "degraded", "failed")
    for status, body in (before, after):
        assert (status, body["status"], body["checks"]["storage"]) == (200, "ok", "ok")


async def test_a_full_disk_counts_with_a_bucket_too(tmp_path: Path, settings: Settings) -> None:
    async with running(tmp_path, works=False, settings=settings, environment=ENVIRONMENT) as run:
        await asyncio.to_thread((tmp_path / "files").rmdir)
        _, body = await health_of(run)
        await asyncio.to_thread((tmp_path / "files").mkdir)
    assert body["checks"]["storage"] == "failed"
