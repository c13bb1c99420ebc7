"""The small world of the crash tests: one product, providers and a studio whose deeds survive the process.

What a vendor was asked and what a customer was told doesn't vanish when our process dies, so both are written to a
side file, line by line, before anything else happens. The checker compares it with what the database says.
"""

import asyncio
import json
import os
import random
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from penstock.jobs.flow import Claimed, Delivery
from penstock.kit.checkpoints import checkpoint
from penstock.kit.database import Database, Transaction
from penstock.media import queries as media
from penstock.media.queries import NewFile, Variant
from penstock.media.storage import Listed, Storage, result_key
from penstock.product.schema import Product
from penstock.product.schema_work import Operation
from penstock.providers.seam import (
    Attempt,
    FailureKind,
    Finished,
    Health,
    ProviderError,
    Request,
    Running,
    Submitted,
)
from tests.support.flows import make_product

ACCOUNTS = {"acc_free": "free", "acc_paid": "paid"}  # account: plan
RUNNING = {"acc_free": 1, "acc_paid": 2}  # jobs at one time
FUNDS = 40  # credits that each customer starts with
ATTEMPTS = 3
NOT_BILLED: frozenset[FailureKind] = frozenset({"transient", "limited", "exhausted", "refused", "invalid", "broken"})
MAY_PAY_TWICE = frozenset({"daring"})

_WORDS = {"words": {"kind": "text", "title": "Words"}}
_OPERATIONS = {
    # operation: price, route, what may go wrong
    "plain": (2, ["main"]),
    "twofold": (3, ["main", "spare"]),
    "bought": (4, ["billed"]),
    "vendor": (1, ["vendor"]),
    "daring": (2, ["billed"]),
    "gift": (0, ["main"]),
}


def crash_product() -> Product:
    """Return the product of the crash tests."""
    operations = {
        name: {
            "title": name.title(),
            "description": "For crash tests",
            "task": "echo",
            "inputs": _WORDS,
            "price": price,
            "route": route,
            "allow_second_charge": name in MAY_PAY_TWICE,
        }
        for name, (price, route) in _OPERATIONS.items()
    }
    plans = {
        plan: {
            "title": plan.title(),
            "description": "For crash tests",
            "limits": {"running": RUNNING[account]},
            "attempts": ATTEMPTS,
        }
        for account, plan in ACCOUNTS.items()
    }
    providers = {
        name: {"adapter": "local", "concurrency": 1 if name == "billed" else 2}
        | ({"limits": {"concurrency": 2}} if name in {"billed", "vendor"} else {})
        for name in ("main", "spare", "billed", "vendor")
    }
    return make_product(operations=operations, plans=plans, providers=providers)


def price_of(operation: str) -> int:
    """Return the credits that an operation costs."""
    return _OPERATIONS[operation][0]


class SideFile:
    """Lines that are safe once written: the operating system keeps them when the process is killed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def note(self, *line: str) -> None:
        os.write(self._descriptor, json.dumps(line).encode() + b"\n")

    def lines(self) -> list[list[str]]:
        return [json.loads(line) for line in self.path.read_bytes().splitlines()]

    def close(self) -> None:
        os.close(self._descriptor)


class Gate:
    """Where vendors keep some of the work waiting; the scenario lets it through, the longest waiting first."""

    def __init__(self, share: float) -> None:
        self.share = share
        self._waiting: list[asyncio.Future[None]] = []
        self._open = False

    async def wait(self) -> None:
        if not self._open:
            self._waiting.append(asyncio.get_running_loop().create_future())
            await self._waiting[-1]

    def let_one_through(self) -> None:
        self._waiting = [waiting for waiting in self._waiting if not waiting.done()]
        if self._waiting:
            self._waiting.pop(0).set_result(None)

    def open(self) -> None:
        self._open = True
        while self._waiting:
            self.let_one_through()


class Vendor:
    """A provider whose fate is decided by the seed, the job and how often it was asked for it."""

    def __init__(self, name: str, side: SideFile, seed: int, gate: Gate, *, billed: bool, reattachable: bool) -> None:
        self.name, self.tasks = name, frozenset({"echo"})
        self.billed, self.reattachable = billed, reattachable
        self._side, self._seed, self._gate = side, seed, gate
        self._asked: dict[str, int] = {}

    async def submit(self, request: Request, attempt: Attempt) -> Submitted | Finished:
        words = request.texts["words"]
        self._asked[words] = nth = self._asked.get(words, 0) + 1
        chance = random.Random(f"{self._seed}/{self.name}/{words}/{nth}")
        self._side.note("asked", self.name, words, attempt.key)
        attempt.report("working", chance.random())
        await self._take_time(chance)
        kind = self._failure(words, chance)
        if kind is not None:
            self._side.note("told", self.name, words, kind)
            raise ProviderError(kind, "as planned")
        if self.reattachable:
            self._side.note("took", self.name, words, f"ref/{attempt.key}")
            return Submitted(f"ref/{attempt.key}")
        return self._finished(request)

    async def _take_time(self, chance: random.Random) -> None:
        for _ in range(chance.randrange(4)):
            await asyncio.sleep(0)
        if chance.random() < self._gate.share:
            await self._gate.wait()  # until the scenario has taken the lease away
        if chance.random() < 0.05 and not self.billed:
            raise RuntimeError("an adapter with a bug")

    def _failure(self, words: str, chance: random.Random) -> FailureKind | None:
        if words.startswith("doomed"):
            return "transient"
        kinds: list[FailureKind] = ["transient", "limited", "refused", "broken"]
        return chance.choice(kinds) if chance.random() < 0.3 else None

    def _finished(self, request: Request) -> Finished:
        return Finished(values={"said": request.texts["words"]}, cost_microdollars=1_000 if self.billed else None)

    async def poll(self, reference: str, request: Request) -> Running | Finished:
        self._side.note("polled", self.name, request.texts["words"], reference)
        looks = self._asked[reference] = self._asked.get(reference, 0) + 1
        if looks == 1:
            return Running("working", 0.5)
        return self._finished(request)

    async def cancel(self, reference: str) -> None:
        self._side.note("stopped", self.name, "", reference)

    async def health(self) -> Health:
        return Health(ok=True)

    async def close(self) -> None:
        return None


def vendors(side: SideFile, seed: int, gate: Gate) -> list[Vendor]:
    """Return one provider of each kind."""
    return [
        Vendor("main", side, seed, gate, billed=False, reattachable=False),
        Vendor("spare", side, seed, gate, billed=False, reattachable=False),
        Vendor("billed", side, seed, gate, billed=True, reattachable=False),
        Vendor("vendor", side, seed, gate, billed=True, reattachable=True),
    ]


class FolderStorage(Storage):
    """The bytes of files in a plain folder, without the threads of the real storage, which a fork would cut off."""

    def __init__(self, folder: Path) -> None:
        self.root = folder

    async def put(self, key: str, source: Path) -> None:
        target = self.root / key
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())

    async def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            (self.root / key).unlink(missing_ok=True)

    async def list(self, prefix: str | None = None) -> AsyncIterator[Listed]:
        for path in sorted(self.root.rglob("*.jpg")):
            yield Listed(str(path.relative_to(self.root)), path.stat().st_size, path.stat().st_mtime)


class FileStudio:
    """Stores two files for each result, in the order and with the statements of the real studio."""

    def __init__(self, storage: FolderStorage, database: Callable[[], Database]) -> None:
        self._storage, self._database = storage, database

    def accept(self, tx: Transaction, account_id: str, operation: Operation, inputs: Mapping[str, Any]) -> None:
        return None

    def contents(
        self, tx: Transaction, account_id: str, operation: Operation, inputs: Mapping[str, Any]
    ) -> Mapping[str, str] | None:
        return {}

    def can_copy(self, tx: Transaction, job_id: str) -> bool:
        return False

    async def copy(self, job: Claimed, source: str) -> Delivery | None:
        return None

    async def prepare(self, job: Claimed, folder: Path) -> Mapping[str, Path]:
        folder.mkdir(parents=True, exist_ok=True)
        return {}

    async def finish(self, job: Claimed, finished: Finished, folder: Path) -> Delivery:
        source = folder / "result"
        source.write_bytes(f"{job.id} {job.fence}".encode())
        result_id = f"res_{job.id.removeprefix('job_')}{job.fence}"
        variants = [
            Variant(name, result_key(result_id, name, "jpg"), "image/jpeg", source.stat().st_size, 1, 1)
            for name in ("full", "thumb")
        ]
        files = [NewFile(variant.key, variant.media_type, variant.bytes) for variant in variants]
        await self._database().write(media.remember_pending, job.account_id, files)
        checkpoint("store.pending")
        for variant in variants:
            await self._storage.put(variant.key, source)
            checkpoint("store.put")
        output = {**finished.values, "fence": job.fence}
        return Delivery(tuple(v.key for v in variants), {"id": result_id, "variants": variants}, output)

    def deliver(self, tx: Transaction, job: Claimed, delivery: Delivery) -> str | None:
        assert delivery.result is not None
        return media.insert_result(
            tx,
            result_id=delivery.result["id"],
            job_id=job.id,
            account_id=job.account_id,
            operation=job.operation_id,
            variants=delivery.result["variants"],
            expires_at=tx.now + 86_400.0,
        ).id
