"""The seam between a job and whoever does the work.

    run -> route -> Provider.submit -> Finished                (done in one call: `local`, most image vendors)
                                    -> Submitted -> poll ... -> Finished   (vendors that work on their own time)

An adapter translates at the edge: a vendor's every way of failing becomes a `ProviderError` of one of few kinds, and
the route sees only kinds. Adapters retry nothing by themselves; the one retry loop is the job's.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

FailureKind = Literal["transient", "limited", "exhausted", "refused", "invalid", "broken", "unknown"]
FAILURE_KINDS: dict[FailureKind, str] = {
    "transient": "a passing fault; trying again may work",
    "limited": "over the provider's rate; try again at `until`",
    "exhausted": "quota or billing is used up; only a person can change that",
    "refused": "the provider's policy refuses this content",
    "invalid": "the customer's input can't be used",
    "broken": "our request or its answer is wrong; a bug of ours or a changed vendor",
    "unknown": "sent, and no answer came: perhaps billed",
}

Report = Callable[[str, float | None], None]


@dataclass(frozen=True)
class Draft:
    """An answer that can't be used as it is, and what is wrong with it, in the words of whoever checked it."""

    text: str
    complaint: str


@dataclass(frozen=True)
class Request:
    """What a provider is asked to do.

    Args:
        task: such as `restore`; the adapter says which it knows.
        pictures: prepared picture files by input name.
        texts: texts by input name.
        options: the customer's options, checked against the product file.
        prompt: the operation's prompt, filled in; None when it has none.
        folder: an empty folder in which the provider writes its outputs.
        draft: what the same provider answered before, for a `Mender`; None the first time.
    """

    job_id: str
    task: str
    pictures: Mapping[str, Path]
    texts: Mapping[str, str]
    options: Mapping[str, Any]
    prompt: str | None
    folder: Path
    draft: Draft | None = None


@dataclass(frozen=True)
class Attempt:
    """One try of one job at one provider.

    Args:
        number: 1 for the first claim of the job.
        key: stable for this try; for vendors that know idempotency keys.
        timeout_s: seconds that the whole try may take.
        report: tells stage and progress (0..1, None when unknown); safe to call often.
        webhook_url: where a vendor may tell that the work has ended; None where it could not reach us.
    """

    number: int
    key: str
    timeout_s: float
    report: Report = field(default=lambda _stage, _progress: None)
    webhook_url: str | None = None


@dataclass(frozen=True)
class Output:
    """A file that a provider made, in the request's folder; the one named `full` is the result."""

    name: str
    path: Path
    media_type: str


@dataclass(frozen=True)
class Submitted:
    """The provider took the work and will be polled by this reference."""

    reference: str


@dataclass(frozen=True)
class Running:
    """The provider is at work; `pause_s` is how long it wants to be left alone before the next look."""

    stage: str
    progress: float | None = None
    pause_s: float = 0.0


@dataclass(frozen=True)
class Finished:
    """The work is done.

    Args:
        outputs: files made.
        values: what is not a file, such as text or a report.
        cost_microdollars: what it cost, in millionths of a US dollar; None when nothing is known.
        tokens: what the provider says it used, in and out; None when it says nothing.
        cost_estimated: the cost is what such a call usually costs, not what the provider reported.
        full_until: until when the provider takes no more, by its own word, in seconds since 1970 UTC; None when it
            says nothing of the kind.
    """

    outputs: tuple[Output, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    cost_microdollars: int | None = None
    tokens: int | None = None
    cost_estimated: bool = False
    full_until: float | None = None


@dataclass(frozen=True)
class Health:
    """Whether a provider can be used now; `detail` and `remedy`, what to do, are for operators."""

    ok: bool
    detail: str = ""
    remedy: str | None = None


class ProviderError(Exception):
    """A provider did not do the work.

    Args:
        kind: decides what happens next; see `FAILURE_KINDS`.
        detail: for operators only.
        message: for the customer, where the kind's own text says too little; never technical.
        until: seconds since 1970 UTC at which trying again makes sense.
        final: of a look at work that was handed over: it has ended or is gone, and looking again finds nothing new.
        cost_microdollars: what the failure cost all the same, in millionths of a US dollar.
        cost_estimated: as in `Finished`.
        tokens: as in `Finished`.

    `remedy` says to operators what to do, where an adapter knows it.
    """

    remedy: str | None = None

    def __init__(
        self,
        kind: FailureKind,
        detail: str,
        *,
        message: str | None = None,
        until: float | None = None,
        final: bool = False,
        cost_microdollars: int | None = None,
        cost_estimated: bool = False,
        tokens: int | None = None,
    ) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind
        self.detail = detail
        self.message = message
        self.until = until
        self.final = final
        self.cost_microdollars = cost_microdollars
        self.cost_estimated = cost_estimated
        self.tokens = tokens


class FlawedError(ProviderError):
    """An answer came, and it can't be used; `draft` is what came, and why, for a provider that can mend it."""

    def __init__(self, draft: Draft) -> None:
        super().__init__("broken", f"the answer can't be used: {draft.complaint}")
        self.draft = draft


class UnfitError(ProviderError):
    """What the customer sent is not for this provider, and another one of the route may well take it.

    `message` is what the customer is told if nobody does.
    """

    def __init__(self, message: str) -> None:
        super().__init__("invalid", message, message=message)


class Provider(Protocol):
    """Who does the work.

    `billed`: a call may cost money, so the job writes down what it is about to do before it does it.
    `reattachable`: work submitted before a crash can be polled by its reference after it.
    """

    name: str
    tasks: frozenset[str]
    billed: bool
    reattachable: bool

    async def submit(self, request: Request, attempt: Attempt) -> Submitted | Finished:
        """Do the work, or hand it over. Errors: ProviderError."""
        ...

    async def poll(self, reference: str, request: Request) -> Running | Finished:
        """Look after work that was handed over; outputs go to the request's folder. Errors: ProviderError."""
        ...

    async def cancel(self, reference: str) -> None:
        """Stop work that was handed over, as far as the vendor can. Errors: ProviderError."""
        ...

    async def health(self) -> Health:
        """Say whether the provider can be used now, with the smallest possible call."""
        ...

    async def close(self) -> None:
        """Give back connections and children."""
        ...


@runtime_checkable
class WebhookSigner(Protocol):
    """A provider whose vendor signs its webhooks."""

    async def webhook_secret(self) -> str:
        """Return the secret that the vendor signs with. Errors: ProviderError."""
        ...


@runtime_checkable
class Mender(Protocol):
    """A provider that takes a `Request.draft`: shown what is wrong with its answer, it may give a better one."""

    mends: Literal[True]
