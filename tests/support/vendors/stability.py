"""A stand-in for Stability AI v2beta: forms in, base64 out; creative upscaling on its own time."""

import base64
from collections.abc import Callable
from typing import Any

from tests.support.vendors.case import Arrange, Case, next_order
from tests.support.vendors.drawn import landscape, tinted
from tests.support.vendors.wire import KEY, Answer, Asked, StandIn

_SYNC = ("generate/ultra", "generate/core", "generate/sd3", "edit/inpaint", "upscale/fast", "upscale/conservative")


class StabilityStandIn(StandIn):
    """Works with forms alone; forgets work that another key ordered. `looks_needed`: until async work is done."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[str, bytes] = {}
        self.looks_needed = 2
        self.balance = 41.5

    def is_order(self, asked: Asked) -> bool:
        return asked.method == "POST"

    def admitted(self, asked: Asked) -> Answer | None:
        return (
            None if asked.headers.get("authorization") == f"Bearer {KEY}" else error(401, "unauthorized", "Wrong key")
        )

    def look(self, asked: Asked) -> Answer:
        if asked.path == "/v1/user/balance":
            return Answer.json({"credits": self.balance})
        reference = asked.path.removeprefix("/v2beta/results/")
        if reference not in self.kept:
            return error(404, "not_found", "There is no such generation")
        if self.looks_needed:
            self.looks_needed -= 1
            return Answer.json({"id": reference, "status": "in-progress"}, 202)
        return finished(self.kept[reference], name="result")

    def work(self, asked: Asked) -> Answer:
        call = asked.path.removeprefix("/v2beta/stable-image/")
        form = asked.form()
        pictures = {name: content for name, _, content in form.files if content}
        if call == "upscale/creative":
            reference = f"{len(self.kept):064x}"
            self.kept[reference] = tinted(pictures["image"])
            return Answer.json({"id": reference})
        if call not in _SYNC or not (form.files or form.fields):
            return error(404, "not_found", call)
        if call != "upscale/fast" and not form.fields.get("prompt"):
            return error(400, "bad_request", "prompt: required")
        if call == "edit/inpaint" and "mask" not in pictures:
            return error(400, "bad_request", "mask: required")
        if "image" in pictures and call.startswith("generate") and "strength" not in form.fields:
            return error(400, "bad_request", "strength: required with an image")
        return finished(tinted(pictures["image"]) if "image" in pictures else landscape())


def finished(content: bytes, reason: str = "SUCCESS", name: str = "image") -> Answer:
    """Return a picture as Stability does."""
    body = {name: base64.b64encode(content).decode(), "finish_reason": reason, "seed": 7}
    return Answer.json(body, content_type="application/json; type=image/png")


def error(status: int, name: str, *errors: str, **headers: str) -> Answer:
    """Return an error as Stability words it."""
    return Answer.json({"id": "e-1", "name": name, "errors": list(errors)}, status, **headers)


def _spoilt(spoil: Callable[[bytes], Any]) -> Arrange:
    return next_order(Answer.json({"image": spoil(landscape()), "finish_reason": "SUCCESS"}))


_REFUSALS = {
    "moderated": error(403, "content_moderation", "Your request was flagged"),
    "a public figure": error(422, "public_figure", "No"),
    "blurred": finished(landscape(), "CONTENT_FILTERED"),
}

CASE = Case(
    adapter="stability",
    stand_in=StabilityStandIn,
    settings={"model": "ultra"},
    base="",
    task="edit",
    makes="picture",
    cost=(250_000, True),
    limited=next_order(error(429, "rate_limit_exceeded", "Slowly", retry_after="34")),
    limited_silently=next_order(error(429, "rate_limit_exceeded", "150 requests in 10 s")),
    silent_pause_s=60.0,
    task_settings={"upscale": {"model": "conservative"}},
    used_up={"payment": next_order(error(402, "payment_required", "Buy credits"))},
    overloaded={"internal": next_order(error(500, "internal_error", "Oh"))},
    refusals={name: next_order(answer) for name, answer in _REFUSALS.items()},
    damaged={
        "half of the base64": _spoilt(lambda picture: base64.b64encode(picture).decode()[:-3]),
        "no picture at all": _spoilt(lambda _: base64.b64encode(b"<svg/>").decode()),
    },
)


def _in_a_look(answer: Answer) -> Arrange:
    return lambda vendor: vendor.looks.append(answer)


CREATIVE = Case(
    **{
        **vars(CASE),
        "name": "stability creative",
        "settings": {"model": "creative"},
        "task": "upscale",
        "tasks": ("upscale",),
        "refusals": {name: _in_a_look(answer) for name, answer in _REFUSALS.items() if answer.status != 422},
        "damaged": {
            "no picture at all": _in_a_look(finished(b"<svg/>")),
            "nothing": _in_a_look(Answer.json({"finish_reason": "SUCCESS"})),
        },
        "lost": {
            "another key's": _in_a_look(error(404, "not_found", "There is no such generation")),
        },
        "endless": lambda vendor: setattr(vendor, "looks_needed", 10**9),
        "pause_s": 10.0,
    }
)
