"""What every step of the flow works with, and the seams through which tests and benchmarks reach it."""

import asyncio
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from penstock.jobs.estimate import Estimator
from penstock.kit.clock import Clock
from penstock.kit.database import Database, Transaction
from penstock.kit.hints import Hints
from penstock.kit.patience import Patient
from penstock.notify.live import Hub
from penstock.product.schema import Product
from penstock.product.schema_offer import Plan
from penstock.product.schema_work import Operation
from penstock.providers.seam import Finished, Provider

# Topics of hints: there is work; a job that runs is to stop; there is news of a job's work at its vendor.
READY, CANCEL, NEWS = "ready", "cancel", "news"


class Products(Protocol):
    """Which product file holds now, and which one a job was submitted under."""

    def current(self) -> Product:
        """Return the product that new work is submitted under."""
        ...

    def current_version(self) -> str:
        """Return its version."""
        ...

    def at(self, tx: Transaction, version: str) -> Product:
        """Return the product of a version that was in force before."""
        ...


@dataclass(frozen=True)
class Claimed:
    """A job that this worker holds: every write about it names its fence."""

    id: str
    account_id: str
    operation_id: str
    operation: Operation
    plan_id: str
    plan: Plan
    product_version: str
    price: int
    inputs: Mapping[str, Any]
    options: Mapping[str, Any]
    fence: int
    attempts: int
    started_at: float
    product: Product
    cache_key: str | None = None
    cached_from: str | None = None


@dataclass(frozen=True)
class Delivery:
    """What a finished job leaves: file keys already stored, and the fields of its result row."""

    keys: tuple[str, ...] = ()
    result: Mapping[str, Any] | None = None
    output: Mapping[str, Any] | None = None


class Studio(Protocol):
    """Everything about files that a job needs; pictures in the product, nothing in benchmarks."""

    def accept(self, tx: Transaction, account_id: str, operation: Operation, inputs: Mapping[str, Any]) -> None:
        """Check at submit that the inputs exist and are the customer's own, and keep them. Errors: Problem."""
        ...

    def contents(
        self, tx: Transaction, account_id: str, operation: Operation, inputs: Mapping[str, Any]
    ) -> Mapping[str, str] | None:
        """Return what tells the inputs that are files apart by their bytes, by name; None if one is gone."""
        ...

    def can_copy(self, tx: Transaction, job_id: str) -> bool:
        """Return whether the files that a job made are still there to be given to somebody else."""
        ...

    async def copy(self, job: Claimed, source: str) -> Delivery | None:
        """Store copies of what the job `source` made as this job's; None if they are gone. Errors: ProviderError."""
        ...

    async def prepare(self, job: Claimed, folder: Path) -> Mapping[str, Path]:
        """Write what the provider gets into `folder`: picture files by input name. Errors: ProviderError."""
        ...

    async def finish(self, job: Claimed, finished: Finished, folder: Path) -> Delivery:
        """Check what came, dress it for the plan, and store it. Errors: ProviderError."""
        ...

    def deliver(self, tx: Transaction, job: Claimed, delivery: Delivery) -> str | None:
        """Keep the stored files and write the result row, in settle's transaction; returns the result's id."""
        ...


class Signal:
    """A wake-up for the workers of every process: only a hint, there is always a slow poll beneath it."""

    def __init__(self, hints: Hints, topic: str) -> None:
        """Start silent."""
        self._hints, self._topic = hints, topic
        self._waiting: set[asyncio.Event] = set()
        hints.hear(topic, self._heard)

    def listen(self) -> asyncio.Event:
        """Return an event that is set at every wake-up from now on."""
        event = asyncio.Event()
        self._waiting.add(event)
        return event

    def forget(self, event: asyncio.Event) -> None:
        """Stop waking `event`."""
        self._waiting.discard(event)

    def wake(self) -> None:
        """Wake every listener, here and elsewhere."""
        self._hints.tell(self._topic)

    def _heard(self, _: str | None) -> None:
        for event in self._waiting:
            event.set()


class News:
    """Word that a vendor has news of a job's work: only a hint, there are always looks beneath it."""

    def __init__(self, hints: Hints) -> None:
        """Start silent."""
        self._hints = hints
        self._waiting: dict[str, asyncio.Event] = {}
        hints.hear(NEWS, self._heard)

    @contextmanager
    def of(self, job_id: str) -> Iterator[asyncio.Event]:
        """Yield an event that is set whenever there is news of a job."""
        event = self._waiting[job_id] = asyncio.Event()
        try:
            yield event
        finally:
            if self._waiting.get(job_id) is event:
                del self._waiting[job_id]

    def tell(self, job_id: str) -> None:
        """Tell whoever looks after a job's work, in whichever process."""
        self._hints.tell(NEWS, job_id)

    def _heard(self, job_id: str | None) -> None:
        for name, event in self._waiting.items():
            if job_id in {name, None}:
                event.set()


@dataclass
class Flow:
    """The flow's surroundings, made once per process.

    Args:
        folder: where running jobs keep their temporary files; emptied at start.
        usable: the providers that are on, by name.
        webhooks: where vendors may tell news, without the vendor's name; None where none could reach it.
        lasting: the database, for writes about what a provider has been asked: asked again while it is away.
        cancelled: called with a job's id when its customer asked to stop it while it runs, perhaps here; with None
            where that may have been missed, for any job.
    """

    database: Database
    clock: Clock
    hub: Hub
    products: Products
    studio: Studio
    providers: Mapping[str, Provider]
    folder: Path
    webhooks: str | None = None
    lasting: Patient = field(init=False)
    ready: Signal = field(init=False)
    news: News = field(init=False)
    estimator: Estimator = field(default_factory=Estimator)
    chance: random.Random = field(default_factory=random.SystemRandom)
    cancelled: list[Callable[[str | None], None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Hear what other processes tell."""
        self.lasting = Patient(self.database)
        self.ready = Signal(self.hub.hints, READY)
        self.news = News(self.hub.hints)
        self.hub.hints.hear(CANCEL, self._hear_cancelled)

    def tell_cancelled(self, job_id: str) -> None:
        """Tell the workers of every process that a running job is to stop."""
        self.hub.hints.tell(CANCEL, job_id)

    def _hear_cancelled(self, job_id: str | None) -> None:
        for call in list(self.cancelled):
            call(job_id)
