"""What the contract suite needs to know of a vendor: how to make it fail in each way, and what it gives."""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from penstock.kit.children import Children
from penstock.kit.clock import Clock, ManualClock
from penstock.product.adapters import TASKS
from penstock.product.schema_providers import Provider as Settings
from penstock.providers.registry import FACTORIES
from penstock.providers.seam import Attempt, Finished, Provider, Request, Submitted
from penstock.providers.surroundings import Surroundings
from tests.support.vendors.drawn import landscape
from tests.support.vendors.wire import KEY, Answer, StandIn, Trouble

KEY_NAME = "VENDOR_KEY"
MAX_LOOKS = 50

Arrange = Callable[[Any], None]
"""Puts a stand-in into the mood for something."""


@dataclass(frozen=True)
class Case:
    """One adapter before its vendor's stand-in.

    Args:
        base: what stands behind the address in `base_url`.
        makes: what `task` comes to.
        cost: microdollars of one success, and whether they are an estimate; None for what the file says.
        limited: "too many requests" with a pause of 34 s; `limited_silently` without.
        used_up, overloaded, refusals, damaged: what leads to `exhausted`, `transient`, `refused`, `broken`, by name.
        lost: what leads to `unknown` beside what every vendor has, by name.
        tokens: that are reported for one success.
        name: where an adapter stands here twice; then `tasks` are those of this case.
        task_settings: what else a task needs in the settings.
        silent_pause_s: the pause that the adapter takes when the vendor names none.
        endless: work that never ends, for vendors whose work goes on by itself; these are found again.
        pause_s: how long the vendor wants to be left alone between two looks.
    """

    adapter: str
    stand_in: Callable[[], StandIn]
    settings: Mapping[str, Any]
    base: str
    task: str
    makes: Literal["picture", "video", "text"]
    cost: tuple[int, bool]
    limited: Arrange
    limited_silently: Arrange
    used_up: Mapping[str, Arrange] = field(default_factory=dict)
    overloaded: Mapping[str, Arrange] = field(default_factory=dict)
    refusals: Mapping[str, Arrange] = field(default_factory=dict)
    damaged: Mapping[str, Arrange] = field(default_factory=dict)
    lost: Mapping[str, Arrange] = field(default_factory=dict)
    prompt: str = "Colourise this."
    tokens: int | None = None
    name: str = ""
    tasks: tuple[str, ...] = ()
    task_settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    silent_pause_s: float | None = None
    endless: Arrange | None = None
    pause_s: float = 0.0

    @property
    def label(self) -> str:
        """What the case is called among others."""
        return self.name or self.adapter

    def provider(self, url: str, *, key: str = KEY, clock: Clock | None = None, **changes: Any) -> Provider:
        """Return the adapter, pointed at a stand-in."""
        return FACTORIES[self.adapter]("vendor", self.settings_at(url, **changes), surroundings(key, clock))

    def settings_at(self, url: str, **changes: Any) -> Settings:
        """Return what the product file would say."""
        written = {"adapter": self.adapter, "key_env": KEY_NAME, "base_url": url + self.base, "cost_usd": "0.25"}
        return Settings.model_validate({**written, **self.settings, **changes})

    def carries(self, vendor: StandIn, content: bytes) -> bool:
        """Return whether a vendor was sent these bytes, in whichever form."""
        forms = (content, base64.b64encode(content))
        return any(form in asked.body for asked in vendor.asked for form in forms)

    def request(self, folder: Path, task: str | None = None, **options: Any) -> Request:
        """Return something to do, with a picture unless the task is made of words."""
        task = task or self.task
        pictures, texts = {}, {}
        if TASKS[task] == {"text"}:
            texts = {"what": "a field under a wide sky"}
        else:
            pictures = {"picture": folder / "picture.png"}
            pictures["picture"].write_bytes(landscape())
        return Request("job_1", task, pictures, texts, options, None if texts else self.prompt, folder)


def surroundings(key: str = KEY, clock: Clock | None = None) -> Surroundings:
    """Return what adapters work with; no child is ever started."""
    return Surroundings(Children(1), clock or ManualClock(), {KEY_NAME: key})


def next_order(*faults: Answer | Trouble) -> Arrange:
    """Let the next orders come to this."""
    return lambda stand_in: stand_in.faults.extend(faults)


async def delivered(provider: Provider, request: Request, number: int = 1, timeout_s: float = 20.0) -> Finished:
    """Take a request to its end, as the worker would, without its pauses."""
    answer = await provider.submit(request, Attempt(number, "key", timeout_s))
    if isinstance(answer, Finished):
        return answer
    assert isinstance(answer, Submitted)
    return await ended(provider, answer.reference, request)


async def ended(provider: Provider, reference: str, request: Request) -> Finished:
    """Look after work until its end."""
    for _ in range(MAX_LOOKS):
        state = await provider.poll(reference, request)
        if isinstance(state, Finished):
            return state
    raise AssertionError(f"no end after {MAX_LOOKS} looks")
