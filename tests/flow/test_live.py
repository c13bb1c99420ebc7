"""The live connection: who may open it, what it tells and when, and how it ends."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from penstock.admission.rates import Rate
from penstock.jobs import live, stream
from penstock.jobs.positions import PositionTeller
from penstock.kit.errors import DatabaseUnavailableError, Problem
from tests.support.flows import FakeProvider
from tests.support.servers import PASSWORD, Customer, Running, listening, running

FINAL = "job.succeeded"


class Talk:
    """One connection as a client sees it."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def say(self, **message: Any) -> None:
        await self.socket.send(json.dumps(message))

    async def hear(self) -> dict[str, Any]:
        async with asyncio.timeout(20):
            message: dict[str, Any] = json.loads(await self.socket.recv())
        return message

    async def events(self, until: str = FINAL, count: int = 1) -> list[dict[str, Any]]:
        """Return the events that come until `count` of type `until` have."""
        found: list[dict[str, Any]] = []
        while sum(event["type"] == until for event in found) < count:
            message = await self.hear()
            if "id" in message:
                found.append(message)
        return found

    async def closed(self) -> tuple[int | None, str]:
        """Wait for the end and return its code and reason."""
        with suppress(ConnectionClosed):
            while True:
                await self.hear()
        return self.socket.close_code, self.socket.close_reason or ""


@asynccontextmanager
async def talk(run: Running, **headers: str) -> AsyncIterator[Talk]:
    """Open a connection."""
    url = run.url.replace("http:", "ws:") + "/api/v1/live"
    async with connect(url, additional_headers=headers) as socket:
        yield Talk(socket)


@asynccontextmanager
async def greeted(run: Running, customer: Customer, **hello: Any) -> AsyncIterator[Talk]:
    """Open a connection and say who it is."""
    async with talk(run) as conversation:
        await conversation.say(type="hello", token=customer.token, **hello)
        assert (await conversation.hear())["type"] == "welcome"
        yield conversation


async def test_a_subscriber_hears_a_job_from_its_beginning_to_its_end(tmp_path: Path) -> None:
    async with running(tmp_path) as run, listening(run) as server:
        ann = await server.customer()
        async with greeted(server, ann) as line:
            job = await ann.submit()
            await line.say(type="subscribe", job=job["id"])
            events = await line.events()

    assert [event["type"] for event in events] == ["job.queued", "job.started", FINAL]
    assert all(set(event) == {"id", "type", "job", "at", "data"} and event["job"] == job["id"] for event in events)


async def test_a_job_that_is_over_is_told_whole(tmp_path: Path) -> None:
    async with running(tmp_path) as run, listening(run) as server:
        ann = await server.customer()
        job = await ann.ended((await ann.submit())["id"])
        async with greeted(server, ann) as line:
            await line.say(type="subscribe", job=job["id"])
            said = await line.hear()
            events = await line.events()

    assert said == {"type": "subscribed", "job": job["id"], "status": "succeeded"}
    assert [event["type"] for event in events] == ["job.queued", "job.started", FINAL]


async def test_all_of_ones_own_jobs_and_nobody_elses(tmp_path: Path) -> None:
    async with running(tmp_path) as run, listening(run) as server:
        ann, bob = await server.customer(gift=10), await server.customer(gift=10)
        async with greeted(server, ann) as line:
            await line.say(type="subscribe")
            assert (await line.hear())["type"] == "subscribed"
            his = await bob.ended((await bob.submit())["id"])
            hers = [(await ann.submit())["id"] for _ in range(2)]
            events = await line.events(count=2)

    assert {event["job"] for event in events} == set(hers)
    assert his["id"] not in hers
    assert [event["id"] for event in events] == sorted({event["id"] for event in events})


async def test_a_connection_resumes_without_loss_or_repeat(tmp_path: Path) -> None:
    async with running(tmp_path) as run, listening(run) as server:
        ann = await server.customer(gift=10)
        jobs = [(await ann.ended((await ann.submit())["id"]))["id"] for _ in range(2)]
        async with greeted(server, ann, after=0) as line:
            await line.say(type="subscribe")
            whole = await line.events(count=2)
        resumed = []
        for event in whole[:-1]:
            async with greeted(server, ann, after=event["id"]) as line:
                await line.say(type="subscribe")
                left = sum(each["type"] == FINAL for each in whole if each["id"] > event["id"])
                resumed.append(await line.events(count=left))
        async with greeted(server, ann, after=whole[1]["id"]) as line:
            await line.say(type="subscribe", job=jobs[0])
            rest_of_first = await line.events()

    assert {event["job"] for event in whole} == set(jobs)
    assert resumed == [[each for each in whole if each["id"] > event["id"]] for event in whole[:-1]]
    assert rest_of_first == [each for each in whole[2:] if each["job"] == jobs[0]]


async def test_a_second_subscription_brings_nothing_twice(tmp_path: Path) -> None:
    provider = FakeProvider("main")
    provider.gate = asyncio.Event()
    async with running(tmp_path, provider) as run, listening(run) as server:
        ann = await server.customer(gift=10, plan="paid")
        first, second = (await ann.submit())["id"], (await ann.submit())["id"]
        async with greeted(server, ann, after=0) as line:
            await line.say(type="subscribe", job=first)
            begun = await line.events(until="job.started")
            await line.say(type="subscribe", job=first)
            await line.say(type="subscribe", job=second)
            await line.say(type="subscribe")
            provider.gate.set()
            events = begun + await line.events(count=2)

    told = [(event["job"], event["type"]) for event in events]
    kinds = ["job.queued", "job.started", FINAL]
    assert sorted(told) == sorted((job, kind) for job in (first, second) for kind in kinds)
    assert len({event["id"] for event in events}) == len(events)


async def test_an_unsubscribed_job_is_silent(tmp_path: Path) -> None:
    async with running(tmp_path) as run, listening(run) as server:
        ann = await server.customer(gift=10)
        async with greeted(server, ann) as line:
            await line.say(type="subscribe")
            await line.say(type="unsubscribe")
            assert [(await line.hear())["type"] for _ in range(2)] == ["subscribed", "unsubscribed"]
            quiet = await ann.ended((await ann.submit())["id"])
            loud = await ann.submit()
            await line.say(type="subscribe", job=loud["id"])
            events = await line.events()

    assert {event["job"] for event in events} == {loud["id"]}
    assert quiet["id"] != loud["id"]


async def test_somebody_elses_job_is_not_found_and_the_line_stays_open(tmp_path: Path) -> None:
    async with running(tmp_path, works=False) as run, listening(run) as server:
        ann, bob = await server.customer(), await server.customer()
        job = await ann.submit()
        async with greeted(server, bob) as line:
            await line.say(type="subscribe", job=job["id"])
            refused = await line.hear()
            await line.say(type="ping")
            alive = await line.hear()

    assert (refused["type"], refused["code"], refused["job"]) == ("problem", "not_found", job["id"])
    assert alive == {"type": "pong"}


async def test_a_place_in_the_queue_is_told_when_it_changes(tmp_path: Path) -> None:
    async with running(tmp_path, works=False) as run, listening(run) as server:
        ann, bob = await server.customer(), await server.customer()
        ahead, job = await ann.submit(), await bob.submit()
        teller = PositionTeller(run.services.flow)
        async with greeted(server, bob) as line:
            await line.say(type="subscribe", job=job["id"])
            await line.events(until="job.queued")
            await teller.look()
            first = (await line.events(until="job.position"))[-1]
            await teller.look()  # nothing has changed
            await ann.post(f"/jobs/{ahead['id']}/cancel")
            await teller.look()
            second = (await line.events(until="job.position"))[-1]
        told = await run.services.database.read(
            lambda tx: tx.value("SELECT COUNT(*) FROM events WHERE type = 'job.position'")
        )

    assert (first["data"]["position"], second["data"]["position"]) == (2, 1)
    assert first["data"]["wait"]["low_s"] <= first["data"]["wait"]["high_s"]
    assert told == 2


async def test_a_place_is_not_told_of_a_job_that_has_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(tmp_path, works=False) as run:
        ann = await run.customer()
        job = await ann.submit()
        database = run.services.database
        teller = PositionTeller(run.services.flow)
        wake = run.services.flow.hub.listen(ann.id)
        found = await database.read(teller.standings, [ann.id])
        await database.write(
            lambda tx: tx.run("UPDATE jobs SET state = 'running', lease_until = 9e9 WHERE id = :id", id=job["id"])
        )
        await database.write(teller.tell, found)
        run.services.flow.hub.forget(ann.id, wake)
        told = await database.read(lambda tx: tx.value("SELECT COUNT(*) FROM events WHERE type = 'job.position'"))

    assert len(found) == 1
    assert told == 0


async def test_the_cookie_of_our_own_page_will_do(tmp_path: Path) -> None:
    async with running(tmp_path) as run, listening(run) as server:
        ann = await server.customer()
        cookie = await session_cookie(server, ann)
        async with talk(server, Cookie=cookie, Origin=server.url) as line:
            await line.say(type="hello")
            welcome = await line.hear()

    assert welcome["type"] == "welcome"


async def test_the_cookie_on_another_sites_page_will_not(tmp_path: Path) -> None:
    async with running(tmp_path) as run, listening(run) as server:
        ann = await server.customer()
        cookie = await session_cookie(server, ann)
        async with talk(server, Cookie=cookie, Origin="https://evil.test") as line:
            await line.say(type="hello")
            said = await line.hear()
            code, _ = await line.closed()

    assert (said["code"], code) == ("forbidden", 4403)


@pytest.mark.parametrize("hello", [{"type": "hello"}, {"type": "hello", "token": "nonsense"}])
async def test_nobody_is_told_nothing(tmp_path: Path, hello: dict[str, str]) -> None:
    async with running(tmp_path) as run, listening(run) as server, talk(server) as line:
        await line.say(**hello)
        said = await line.hear()
        code, reason = await line.closed()

    assert (said["code"], code) == ("unauthenticated", 4401)
    assert reason


@pytest.mark.parametrize("first", ["no json", "[]", '{"type": "subscribe"}', '{"type": "hello", "after": -1}'])
async def test_a_connection_begins_with_hello(tmp_path: Path, first: str) -> None:
    async with running(tmp_path) as run, listening(run) as server, talk(server) as line:
        await line.socket.send(first)
        code, reason = await line.closed()

    assert code == 4400
    assert "hello" in reason


async def test_who_says_nothing_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "HELLO_S", 0.01)
    async with running(tmp_path) as run, listening(run) as server, talk(server) as line:
        code, _ = await line.closed()

    assert code == 4408


async def test_messages_have_a_size_a_kind_and_a_rate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MESSAGES", Rate.per("live-messages", burst=5, window_s=3_600))
    async with running(tmp_path) as run, listening(run) as server:
        ann = await server.customer()
        codes = []
        for wrong in ("x" * (live.MAX_MESSAGE_CHARACTERS + 1), '{"type": "shout"}', b"bytes"):
            async with greeted(server, ann) as line:
                await line.socket.send(wrong)
                codes.append((await line.closed())[0])
        async with greeted(server, ann) as line:
            for _ in range(live.MESSAGES.burst + 1):
                await line.say(type="ping")
            codes.append((await line.closed())[0])

    assert codes == [1009, 4400, 4400, 1008]


async def test_subscriptions_have_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MAX_SUBSCRIPTIONS", 1)
    async with running(tmp_path, works=False) as run, listening(run) as server:
        ann = await server.customer(gift=10)
        jobs = [(await ann.submit())["id"] for _ in range(2)]
        async with greeted(server, ann) as line:
            await line.say(type="subscribe", job=jobs[0])
            await line.events(until="job.queued")
            await line.say(type="subscribe", job=jobs[1])
            refused = await line.hear()

    assert (refused["type"], refused["code"]) == ("problem", "invalid_input")


async def test_connections_of_one_account_have_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "MAX_STREAMS_EACH", 2)
    async with running(tmp_path) as run, listening(run) as server:
        ann = await server.customer()
        async with greeted(server, ann), greeted(server, ann), talk(server) as third:
            await third.say(type="hello", token=ann.token)
            said = await third.hear()
            code, _ = await third.closed()
        async with greeted(server, ann):
            pass

    assert (said["code"], code) == ("rate_limited", 4429)


async def test_connections_are_told_when_the_server_stops(tmp_path: Path) -> None:
    async with running(tmp_path) as run, listening(run) as server:
        ann = await server.customer()
        async with greeted(server, ann) as line:
            run.services.streams.closing.set()
            code, reason = await line.closed()

    assert code == 1001
    assert "resume" in reason


async def test_a_database_that_is_away_is_said_and_the_client_may_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_args: Any) -> Any:
        raise DatabaseUnavailableError("disk I/O error at 0x1")

    async with running(tmp_path) as run, listening(run) as server:
        ann = await server.customer()
        async with greeted(server, ann) as line:
            monkeypatch.setattr(run.services.flow.database, "read", away)
            await line.say(type="subscribe")
            code, reason = await line.closed()
            monkeypatch.undo()

    assert code == live.TRY_AGAIN
    assert "resume" in reason
    assert "I/O" not in reason


async def test_a_slow_client_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "SEND_S", 0.01)

    class Stuck:
        """A socket whose other end takes nothing."""

        async def send_text(self, text: str) -> None:
            await asyncio.Event().wait()

    async with running(tmp_path) as run:
        ann = await run.customer()
        connection = live.LiveConnection(Stuck(), run.services.flow, ann.id, None)  # type: ignore[arg-type]
        with pytest.raises(live.ClosedError) as closed:
            await connection.run(asyncio.Event())
        followers = run.services.flow.hub.followed()

    assert closed.value.code == live.TRY_AGAIN
    assert followers == []


async def session_cookie(run: Running, customer: Customer) -> str:
    """Sign in as the web app does and return the session's cookie."""
    credentials = {"email": customer.email, "password": PASSWORD}
    answer = await run.client.post("/api/v1/auth/login", json=credentials)
    assert answer.status_code == 200, answer.text
    value = run.client.cookies["penstock_session"]
    run.client.cookies.clear()
    return f"penstock_session={value}"


def test_a_problem_on_the_line_says_nothing_technical() -> None:
    told = live._told(Problem("rate_limited", "Slowly, please."))

    assert told == {
        "type": "problem",
        "code": "rate_limited",
        "title": "Too many requests",
        "detail": "Slowly, please.",
    }
