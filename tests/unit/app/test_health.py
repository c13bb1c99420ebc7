"""Health tells whoever routes requests whether they should come here, and what is wrong if not."""

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import httpx2
import pytest

from penstock.app import health
from penstock.kit.database import DatabaseUnavailableError
from penstock.media.storage import Storage
from tests.support.flows import PATIENCE_S
from tests.support.servers import API, Running, running


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is, a database that answers is well."""
    monkeypatch.setattr(health, "DATABASE_S", PATIENCE_S)


async def health_of(run: Running) -> tuple[int, dict[str, Any]]:
    run.app.state.health._kept = None  # look anew
    answer = await run.client.get(f"{API}/health")
    return answer.status_code, answer.json()


async def test_all_is_well(tmp_path: Path) -> None:
    async with running(tmp_path) as run:
        status, body = await health_of(run)

    assert status == 200
    assert body["status"] == "ok"
    assert set(body) == {"status", "load", "queue", "version", "checks"}
    assert set(body["checks"].values()) == {"ok"}
    assert set(body["checks"]) == {"database", "ledger", "migrations", "storage", "workers"}
    assert body["load"]["level"] == max(body["load"]["cpu"], body["load"]["memory"])
    assert body["queue"] == {"waiting": 0, "running": 0, "oldest_wait_s": None}


async def test_the_queue_is_that_of_everybody(tmp_path: Path) -> None:
    async with running(tmp_path, works=False) as run:
        for _ in range(2):
            await (await run.customer()).submit()
        _, body = await health_of(run)

    assert (body["queue"]["waiting"], body["queue"]["running"]) == (2, 0)
    assert body["queue"]["oldest_wait_s"] >= 0


async def test_a_database_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(tmp_path, works=False) as run:

        async def broken(*_: Any, **__: Any) -> None:
            raise DatabaseUnavailableError("gone")

        with monkeypatch.context() as patch:
            patch.setattr(run.services.database, "read", broken)
            status, body = await health_of(run)

    assert (status, body["status"], body["checks"]["database"]) == (503, "degraded", "failed")


async def test_a_database_of_another_shape(tmp_path: Path) -> None:
    async with running(tmp_path, works=False) as run:
        connection = sqlite3.connect(tmp_path / "penstock.sqlite3")
        connection.execute("UPDATE alembic_version SET version_num = '9999_future'")
        connection.commit()
        connection.close()
        status, body = await health_of(run)

    assert (status, body["checks"]["migrations"], body["checks"]["database"]) == (503, "failed", "ok")


async def test_a_folder_that_is_gone_degrades(tmp_path: Path) -> None:
    async with running(tmp_path, works=False) as run:
        (tmp_path / "files").rmdir()
        status, body = await health_of(run)
        Storage.in_folder(tmp_path / "files")

    assert (status, body["status"], body["checks"]["storage"]) == (200, "degraded", "failed")


async def test_an_unexplained_credit_degrades(tmp_path: Path) -> None:
    async with running(tmp_path, works=False) as run:
        await run.customer()
        [look] = [chore for chore in run.services.maintenance.chores if chore.name == "ledger"]  # type: ignore[union-attr]
        await run.services.maintenance._turn(look)  # type: ignore[union-attr]
        _, fine = await health_of(run)
        await run.services.database.write(lambda tx: tx.run("UPDATE wallets SET available = available + 1"))
        await run.services.database.write(lambda tx: tx.run("UPDATE chores SET due_at = 0"))
        await run.services.maintenance._turn(look)  # type: ignore[union-attr]
        status, body = await health_of(run)

    assert fine["checks"]["ledger"] == "ok"
    assert (status, body["status"], body["checks"]["ledger"]) == (200, "degraded", "failed")


async def test_a_worker_that_has_stopped_by_itself_degrades(tmp_path: Path) -> None:
    async with running(tmp_path) as run:
        worker = run.services.worker
        assert worker is not None
        assert worker._beating is not None
        worker._beating.cancel()
        while worker.alive:
            await asyncio.sleep(0)
        status, body = await health_of(run)

    assert (status, body["status"], body["checks"]["workers"]) == (200, "degraded", "failed")


async def test_answers_are_kept_for_a_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "KEEP_S", 1_000.0)
    async with running(tmp_path, works=False) as run:
        await run.client.get(f"{API}/health")
        await (await run.customer()).submit()
        kept = (await run.client.get(f"{API}/health")).json()
        _, fresh = await health_of(run)

    assert (kept["queue"]["waiting"], fresh["queue"]["waiting"]) == (0, 1)


async def test_metrics_are_for_this_machine_and_for_staff(tmp_path: Path) -> None:
    async with running(tmp_path, works=False) as run:
        ann, boss = await run.customer(), await run.customer()
        await run.services.database.write(run.services.accounts.set_role, boss.id, "admin")
        await ann.submit()
        run.app.state.health._kept = None
        stranger = await run.client.get("/metrics")
        customer = await run.client.get("/metrics", headers=ann.headers)
        admin = await run.client.get("/metrics", headers=boss.headers)
        transport = httpx2.ASGITransport(run.app, client=("127.0.0.1", 1))
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as near:
            local = await near.get("/metrics")

    assert (stranger.status_code, customer.status_code) == (404, 404)
    assert (admin.status_code, local.status_code) == (200, 200)
    assert "penstock_jobs_queued 1.0" in admin.text
    assert 'route="/api/v1/jobs"' in admin.text
    assert "job_" not in admin.text.replace("job_id", "")
