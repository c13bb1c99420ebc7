"""What only those who run the service may see."""

from pathlib import Path

from tests.support.servers import running


async def test_staff_see_the_workers_and_nobody_else_does(tmp_path: Path) -> None:
    async with running(tmp_path) as run:
        ann, boss = await run.customer(), await run.customer()
        await run.services.database.write(run.services.accounts.set_role, boss.id, "support")
        seen = await boss.get("/admin/workers")
        refused = await ann.get("/admin/workers")
        stranger = await run.client.get("/api/v1/admin/workers")
        worker = run.services.worker
        assert worker is not None

    assert seen.status_code == 200
    [item] = seen.json()["items"]
    assert (item["name"], item["state"], item["slots"], item["running"]) == (worker.name, "working", worker.slots, 0)
    assert item["seen_at"].endswith("Z")
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert stranger.status_code == 401


async def test_health_of_a_process_that_only_serves_tells_whether_anybody_works(tmp_path: Path) -> None:
    async with running(tmp_path / "serves", works=False) as run:
        nobody = (await run.client.get("/api/v1/health")).json()
        run.app.state.health._kept = None
        async with running(tmp_path / "serves"):
            somebody = (await run.client.get("/api/v1/health")).json()

    assert (nobody["status"], nobody["checks"]["workers"]) == ("degraded", "none")
    assert (somebody["status"], somebody["checks"]["workers"]) == ("ok", "ok")
