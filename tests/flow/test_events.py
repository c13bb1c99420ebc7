"""Following one job by Server-Sent Events: everything in order, resumable at any point, never anybody else's."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from penstock.jobs import stream
from penstock.jobs.stream import Streams, with_heartbeats
from penstock.providers.seam import Attempt, Finished, Request
from tests.support.flows import FakeProvider
from tests.support.servers import API, Customer, listening, running


def reporting(request: Request, attempt: Attempt) -> Finished:
    attempt.report("thinking", 0.5)
    return Finished(values={"said": "done"})


async def events_of(
    customer: Customer, job_id: str, *, stop_after: int | None = None, **options: Any
) -> list[dict[str, Any]]:
    """Read a job's events until the stream ends, or `stop_after` of them."""
    found: list[dict[str, Any]] = []
    headers = customer.headers | options.pop("headers", {})
    async with asyncio.timeout(20):
        async with customer.client.stream("GET", f"{API}/jobs/{job_id}/events", headers=headers, **options) as answer:
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith("text/event-stream")
            async for event in parsed(answer):
                found.append(event)
                if len(found) == stop_after:
                    break
    return found


async def parsed(answer: httpx2.Response) -> AsyncIterator[dict[str, Any]]:
    """Read a stream as a browser does."""
    fields: dict[str, str] = {}
    async for line in answer.aiter_lines():
        name, _, value = line.partition(": ")
        if not line:
            if "data" in fields:
                event = json.loads(fields["data"])
                assert (fields["id"], fields["event"]) == (str(event["id"]), event["type"])
                yield event
            fields = {}
        elif name:
            fields[name] = value


async def test_a_stream_tells_everything_in_order_and_ends(tmp_path: Path) -> None:
    async with running(tmp_path, FakeProvider("main", reporting)) as run, listening(run) as live:
        ann = await live.customer()
        job = await ann.submit()
        events = await events_of(ann, job["id"])

    types = [event["type"] for event in events]
    assert (types[0], types[-1]) == ("job.queued", "job.succeeded")
    assert "job.started" in types
    assert [event["id"] for event in events] == sorted({event["id"] for event in events})
    assert all(set(event) == {"id", "type", "job", "at", "data"} and event["job"] == job["id"] for event in events)


async def test_a_stream_resumes_at_every_point_without_loss_or_repeat(tmp_path: Path) -> None:
    async with running(tmp_path, FakeProvider("main", reporting)) as run, listening(run) as live:
        ann = await live.customer()
        job = await ann.submit()
        whole = await events_of(ann, job["id"])
        by_header = [await events_of(ann, job["id"], headers={"Last-Event-ID": str(event["id"])}) for event in whole]
        by_query = await events_of(ann, job["id"], params={"after": whole[0]["id"]})

    assert by_header == [whole[at + 1 :] for at in range(len(whole))]
    assert by_query == whole[1:]


async def test_a_cut_stream_goes_on_where_it_was_cut(tmp_path: Path) -> None:
    provider = FakeProvider("main")
    provider.gate = asyncio.Event()
    async with running(tmp_path, provider) as run, listening(run) as live:
        ann = await live.customer()
        job = await ann.submit()
        before = await events_of(ann, job["id"], stop_after=2)
        resuming = asyncio.create_task(events_of(ann, job["id"], headers={"Last-Event-ID": str(before[-1]["id"])}))
        await asyncio.wait_for(provider.entered.wait(), 20)
        provider.gate.set()
        after = await resuming
        whole = await events_of(ann, job["id"])

    assert [event["type"] for event in before] == ["job.queued", "job.started"]
    assert before + after == whole


async def test_an_id_beyond_the_newest_event_does_not_hang(tmp_path: Path) -> None:
    async with running(tmp_path) as run, listening(run) as live:
        ann = await live.customer()
        job = await ann.submit()
        events = await events_of(ann, job["id"], params={"after": 10**12})

    assert all(event["type"] in {"job.started", "job.succeeded"} for event in events)


async def test_a_stream_of_a_job_whose_events_are_gone_ends(tmp_path: Path) -> None:
    async with running(tmp_path) as run, listening(run) as live:
        ann = await live.customer()
        job = await ann.ended((await ann.submit())["id"])
        await run.services.database.write(lambda tx: tx.run("DELETE FROM events"))
        events = await events_of(ann, job["id"])

    assert events == []


async def test_somebody_elses_job_is_not_found(tmp_path: Path) -> None:
    async with running(tmp_path, works=False) as run:
        ann, bob = await run.customer(), await run.customer()
        job = await ann.submit()
        answer = await bob.get(f"/jobs/{job['id']}/events")

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize("last", ["abc", "-1", "1e3", "99999999999999999999"])
async def test_a_wrong_last_event_id_is_said_so(tmp_path: Path, last: str) -> None:
    async with running(tmp_path, works=False) as run:
        ann = await run.customer()
        job = await ann.submit()
        answer = await ann.get(f"/jobs/{job['id']}/events", headers={"Last-Event-ID": last})

    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "Last-Event-ID")


async def test_one_connection_too_many_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "MAX_STREAMS_EACH", 1)
    async with running(tmp_path, works=False) as run, listening(run) as live:
        ann, bob = await live.customer(), await live.customer()
        hers, his = await ann.submit(), await bob.submit()
        async with ann.client.stream("GET", f"{API}/jobs/{hers['id']}/events", headers=ann.headers) as first:
            lines = aiter(first.aiter_lines())
            await anext(lines)
            refused = await ann.get(f"/jobs/{hers['id']}/events")
            other = await events_of(bob, his["id"], stop_after=1)

    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert len(other) == 1


async def test_streams_end_when_the_server_stops(tmp_path: Path) -> None:
    async with running(tmp_path, works=False) as run, listening(run) as live:
        ann = await live.customer()
        job = await ann.submit()
        address = f"{API}/jobs/{job['id']}/events"
        async with asyncio.timeout(20), ann.client.stream("GET", address, headers=ann.headers) as answer:
            types = []
            async for event in parsed(answer):
                types.append(event["type"])
                run.services.streams.closing.set()

    assert types == ["job.queued"]


async def test_heartbeats_fill_the_silence() -> None:
    released = asyncio.Event()

    async def source() -> AsyncIterator[int]:
        yield 1
        await released.wait()
        yield 2

    found: list[int | None] = []
    async for item in with_heartbeats(source(), asyncio.Event(), every_s=0.001):  # type: ignore[arg-type]
        found.append(item)
        if found.count(None) == 3:
            released.set()

    assert found[0] == 1
    assert found[-1] == 2
    assert found.count(None) >= 3


async def test_a_stream_has_an_end_of_its_own() -> None:
    closed = False

    async def silent() -> AsyncIterator[int]:
        nonlocal closed
        try:
            await asyncio.Event().wait()
            yield 1
        finally:
            closed = True

    found = [item async for item in with_heartbeats(silent(), asyncio.Event(), lifetime_s=0.01)]  # type: ignore[arg-type]

    assert found in ([], [None])
    assert closed


async def test_counting_connections_forgets_those_that_are_gone() -> None:
    streams = Streams()
    for _ in range(3 * stream.MAX_STREAMS_EACH):
        with streams.opened("acc_1", "sse"):
            pass
    with streams.opened("acc_1", "sse"):
        streams.check("acc_1")
