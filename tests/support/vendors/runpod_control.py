"""RunPod with a worker behind it: what the vendor's own worker loop asks, beside what a client asks.

    client  run, status, cancel, health
    worker  job-take and job-stop (held open until there is something), job-done (results and reports), ping

Words that are too late change nothing, as with the real one: a report after the result, a result after the cancel, or
a result of a worker that was given up.
"""

import asyncio
import itertools
import json
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.support.vendors.runpod import ENDPOINT, Document
from tests.support.vendors.wire import KEY, Answer, Asked, StandIn, Trouble

HELD_S = 30.0
"""How long a request of the worker is held open; the real one holds it about as long."""
_NOTHING = Answer(204)
_CLIENT = frozenset({"run", "status", "cancel", "health"})


@dataclass
class Order:
    """A job, and what was said of it."""

    id: str
    given: Document
    beside: Mapping[str, Any]
    status: str = "IN_QUEUE"
    worker: str | None = None
    said: Document = field(default_factory=dict)
    reports: list[Document] = field(default_factory=list)
    results: list[Document] = field(default_factory=list)

    @property
    def over(self) -> bool:
        return self.status in {"COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT"}


class ControlPlane(StandIn):
    """Takes jobs from a client, and hands them to whichever worker asks."""

    def __init__(self) -> None:
        super().__init__()
        self.orders_by_id: dict[str, Order] = {}
        self.pings: list[Asked] = []
        self.takers: set[str] = set()
        self._waiting: deque[Order] = deque()
        self._stops: defaultdict[str, list[str]] = defaultdict(list)
        self._changed = asyncio.Condition()
        self._numbers = itertools.count()

    # ---- for tests ----

    def environment(self, worker: str) -> dict[str, str]:
        """Return what RunPod sets in a worker's container."""
        place = f"{self.url}/v2/{ENDPOINT}"
        return {
            "RUNPOD_POD_ID": worker,
            "RUNPOD_ENDPOINT_ID": ENDPOINT,
            "RUNPOD_AI_API_KEY": KEY,
            "RUNPOD_WEBHOOK_GET_JOB": f"{place}/job-take/$ID?gpu=none",
            "RUNPOD_WEBHOOK_POST_OUTPUT": f"{place}/job-done/$RUNPOD_POD_ID/$ID?gpu=none",
            "RUNPOD_WEBHOOK_POST_STREAM": f"{place}/job-stream/$RUNPOD_POD_ID/$ID?gpu=none",
            "RUNPOD_WEBHOOK_PING": f"{place}/ping/$RUNPOD_POD_ID",
            "RUNPOD_SKIP_AUTO_SYSTEM_CHECKS": "true",
            "RUNPOD_SKIP_GPU_CHECK": "true",
        }

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait until something that is said here makes it true."""
        async with self._changed:
            await self._changed.wait_for(true)

    async def lose(self, worker: str, *, again: bool) -> None:
        """Give a worker up that is silent: its job goes to the next one, or fails."""
        async with self._changed:
            for order in self.orders_by_id.values():
                if order.worker == worker and not order.over:
                    order.worker = None
                    if again:
                        order.status = "IN_QUEUE"
                        self._waiting.append(order)
                    else:
                        order.status, order.said = "FAILED", {"error": "job timed out, worker lost"}
            self._changed.notify_all()

    # ---- the wire ----

    def is_order(self, asked: Asked) -> bool:
        return asked.path.endswith("/run")

    def admitted(self, asked: Asked) -> Answer | None:
        wanted = f"Bearer {KEY}" if _call_of(asked) in _CLIENT else KEY  # a worker sends the bare key
        return None if asked.headers.get("authorization") == wanted else Answer(401)

    async def _answer(self, asked: Asked) -> tuple[Trouble | None, Answer] | None:
        call = _call_of(asked)
        if self.admitted(asked) is None and call in {"job-take", "job-stop"}:
            return None, await self._held(asked, call)
        answer = await super()._answer(asked)
        async with self._changed:
            self._changed.notify_all()
        return answer

    async def _held(self, asked: Asked, call: str) -> Answer:
        find = {"job-take": self._taken, "job-stop": self._stopped}[call]
        worker = asked.path.rpartition("/")[2]
        try:
            async with asyncio.timeout(HELD_S), self._changed:
                if call == "job-take":
                    self.takers.add(worker)
                    self._changed.notify_all()
                await self._changed.wait_for(lambda: self._anything(call, worker))
                return Answer.json(find(worker))
        except TimeoutError:
            return _NOTHING

    def _anything(self, call: str, worker: str) -> bool:
        return bool(self._waiting if call == "job-take" else self._stops[worker])

    def _taken(self, worker: str) -> Document:
        order = self._waiting.popleft()
        order.status, order.worker = "IN_PROGRESS", worker
        return {"id": order.id, "input": order.given, **order.beside}

    def _stopped(self, worker: str) -> Document:
        return {"jobsToStop": self._stops.pop(worker)}

    def work(self, asked: Asked) -> Answer:
        body = asked.json()
        beside = {name: body[name] for name in ("s3Config",) if name in body}
        order = Order(f"job{next(self._numbers)}-u1", body["input"], beside)
        self.orders_by_id[order.id] = order
        self._waiting.append(order)
        return Answer.json({"id": order.id, "status": "IN_QUEUE"})

    def look(self, asked: Asked) -> Answer:
        call, rest = _call_of(asked), asked.path.split("/")[4:]
        if call == "ping":
            self.pings.append(asked)
            return Answer()
        if call == "health":
            return Answer.json({"jobs": {"inQueue": len(self._waiting)}, "workers": {"idle": 1, "running": 0}})
        order = self.orders_by_id.get(rest[-1])
        if order is None:
            return Answer.json({"error": "request does not exist"}, 404)
        if call == "job-done":
            self._done(order, rest[0], json.loads(asked.body))
            return Answer()
        if call == "cancel":
            self._cancel(order)
        return Answer.json({"id": order.id, "status": order.status, "executionTime": 1_000, **order.said})

    def _cancel(self, order: Order) -> None:
        if order.over:
            return
        if order.worker is not None:
            self._stops[order.worker].append(order.id)
        elif order in self._waiting:
            self._waiting.remove(order)
        order.status, order.said = "CANCELLED", {}

    def _done(self, order: Order, worker: str, said: Document) -> None:
        report = said.get("status") == "IN_PROGRESS"
        (order.reports if report else order.results).append(said)
        if order.over or order.worker != worker:
            return
        if report:
            order.said = {"output": said["output"]}
        else:
            order.status, order.said = "FAILED" if "error" in said else "COMPLETED", said


def _call_of(asked: Asked) -> str:
    _, version, endpoint, call, *_ = asked.path.split("/")
    assert (version, endpoint) == ("v2", ENDPOINT), asked.path
    return call
