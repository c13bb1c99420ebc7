"""A worker in a process of its own, for tests that kill it: the real services, with a provider that leaves a trace or
with the real adapters.

It is forked from a server that has everything loaded, which takes longer than most tests. It tells once it claims.
SIGTERM drains it, as an operator would.
"""

import asyncio
import multiprocessing
import os
import random
import signal
from collections.abc import Mapping
from functools import cache
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Any

from penstock.app import server
from penstock.app.services import Parts
from penstock.app.wiring import open_services
from penstock.jobs import maintenance, queue, run, turns
from penstock.kit import checkpoints
from penstock.observability.logs import configure_logging
from penstock.product.settings import Settings
from penstock.providers.seam import Attempt, Finished, Provider, Request, Running, Submitted
from tests.support.flows import FakeProvider, NoFiles, make_product
from tests.support.servers import SECRET, loaded

START_LIMIT_S = 180.0  # on a machine that many share
STOP_LIMIT_S = 60.0
REATTACHABLE = "parcels"
BILLED = (REATTACHABLE, "shop")
MOMENT_S = 0.1  # that a vendor takes at most, for each thing that it is asked
LOOK_S = 0.01  # between two looks whether a gate has been opened


class WorkerProcess:
    """A worker that a test starts, kills and stops.

    Args:
        folder: of its own; `sent` and the gates lie in `traces`.
        lease_s: of its jobs, instead of the usual; everything else that waits is as much shorter.
        environment: with the keys of vendors; then the real adapters do the work, and pictures are handled.
        dies_at: the checkpoint at which it kills itself as the kernel would.
    """

    def __init__(
        self,
        folder: Path,
        traces: Path,
        shared: Mapping[str, str],
        *,
        lease_s: float = 2.0,
        product: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
        dies_at: str | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._told = {
            "folder": str(folder),
            "traces": str(traces),
            "settings": dict(shared),
            "lease_s": lease_s,
            "product": dict(product or {}),
            "environment": None if environment is None else dict(environment),
            "dies_at": dies_at,
        }
        self._process: ForkServerProcess | None = None

    def start(self) -> "WorkerProcess":
        """Start it and wait until it works. Errors: AssertionError, with what it said."""
        told, telling = _warm().Pipe(duplex=False)
        self._process = _warm().Process(target=_run, args=(self._told, telling))
        self._process.start()
        telling.close()
        with told:
            try:
                assert told.poll(START_LIMIT_S)
                told.recv()
            except (AssertionError, EOFError):
                self.kill()
                raise AssertionError(f"the worker did not start:\n{(self.folder / 'log').read_text()}") from None
        return self

    def kill(self) -> None:
        """End it as the kernel's out-of-memory killer does."""
        self._end(signal.SIGKILL)

    def died(self) -> int:
        """Wait until it has ended by itself; returns its exit code, which is that of the signal with a minus."""
        assert self._process is not None
        return self._joined(self._process)

    def stop(self) -> int:
        """End it as an operator does; returns its exit code."""
        return self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> int:
        process = self._process
        if process is None or process.pid is None:
            return 0
        os.kill(process.pid, number)
        return self._joined(process)

    def _joined(self, process: ForkServerProcess) -> int:
        self._process = None
        process.join(STOP_LIMIT_S)
        code = process.exitcode
        assert code is not None, "it goes on"
        process.close()
        return code


def sent(traces: Path, provider: str = "main") -> list[str]:
    """Return the ids of the jobs that any worker has sent to a provider, in order."""
    path = traces / f"sent to {provider}"
    return path.read_text().split() if path.exists() else []


def _note(traces: Path, provider: str, request: Request) -> None:
    with (traces / f"sent to {provider}").open("a") as file:  # one short write at the end: whole, whoever else writes
        file.write(f"{request.job_id}\n")


def _act(traces: Path, request: Request) -> asyncio.Future[Finished]:
    async def work() -> Finished:
        _note(traces, "main", request)
        words = request.texts.get("words", "")
        if words.startswith("gate"):
            while not (traces / words).exists():
                await asyncio.sleep(LOOK_S)
        return Finished(values={"said": words})

    return asyncio.ensure_future(work())


class Vendor(FakeProvider):
    """Sends a bill, and takes a moment for everything; `parcels` can be asked again by a reference."""

    def __init__(self, name: str, traces: Path) -> None:
        super().__init__(name, billed=True, reattachable=name == REATTACHABLE)
        self._traces, self._chance = traces, random.Random()

    async def submit(self, request: Request, attempt: Attempt) -> Submitted | Finished:
        _note(self._traces, self.name, request)
        await self._moment()
        return Submitted(request.job_id) if self.reattachable else Finished()

    async def poll(self, reference: str, request: Request) -> Running | Finished:
        await self._moment()
        return Finished() if self._chance.random() < 0.3 else Running("at work")

    async def _moment(self) -> None:
        await asyncio.sleep(self._chance.uniform(0, MOMENT_S))


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@cache
def _warm() -> ForkServerContext:
    """Return where processes come from that have everything loaded."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def _run(told: Mapping[str, Any], telling: Connection) -> None:
    log = os.open(Path(told["folder"]) / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    configure_logging("json", "info")
    asyncio.run(_main(told, telling))


async def _main(told: Mapping[str, Any], telling: Connection) -> None:
    queue.LEASE_S, queue.HEARTBEAT_S = told["lease_s"], told["lease_s"] / 3
    run.POLL_FIRST_S = run.POLL_MOST_S = MOMENT_S
    maintenance.LEASE_LOOK_S = turns.TURN_S = told["lease_s"] / 4
    traces = Path(told["traces"])

    def make(name: str, _settings: Any, _around: Any) -> Provider:
        if name in BILLED:
            return Vendor(name, traces)

        def act(request: Request, _attempt: Attempt) -> asyncio.Future[Finished]:
            return _act(traces, request)

        return FakeProvider(name, act)

    settings = Settings(data_dir=Path(told["folder"]) / "data", secret=SECRET, **told["settings"])
    if told["dies_at"] is not None:
        checkpoints.arm(lambda label: _die() if label == told["dies_at"] else None)
    traced = Parts(studio=NoFiles(), factories={"local": make})
    parts = traced if told["environment"] is None else Parts(durability="normal")
    product = loaded(make_product(**told["product"]))
    async with open_services(settings, product, told["environment"] or {}, parts=parts) as services:
        await server.work(services, lambda: telling.send("working"))
