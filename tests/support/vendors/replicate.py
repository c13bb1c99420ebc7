"""A stand-in for Replicate: predictions, files, cancel."""

import base64
import hashlib
import hmac
import re
from collections import deque
from typing import Any

from tests.support.vendors.case import Arrange, Case, next_order
from tests.support.vendors.drawn import film, landscape, tinted
from tests.support.vendors.wire import KEY, Answer, Asked, StandIn

MODEL = "black-forest-labs/flux-dev"
VERSION = "5c7d5dc6dd8bf75c1acaa8565735e7986bc5b66206b55cca93cb72c9bf15ccaa"
SIGNING_SECRET = "whsec_" + base64.b64encode(b"a secret of the tests, 32 bytes!").decode()
Document = dict[str, Any]
_DEADLINE = re.compile(r"\d+[smh]")


class ReplicateStandIn(StandIn):
    """Makes predictions within a few looks, keeps files. `endings`: what the next ones come to instead."""

    def __init__(self) -> None:
        super().__init__()
        self.predictions: dict[str, Document] = {}
        self.endings: deque[Document | None] = deque()
        self.files: dict[str, bytes] = {}
        self.looks_needed = 2
        self.cancelled: list[str] = []

    def is_order(self, asked: Asked) -> bool:
        return asked.method == "POST" and asked.path.endswith("/predictions")

    def admitted(self, asked: Asked) -> Answer | None:
        if asked.headers.get("authorization") == f"Bearer {KEY}":
            return None
        return Answer.json({"title": "Unauthenticated", "detail": "You did not pass a valid token", "status": 401}, 401)

    def look(self, asked: Asked) -> Answer:
        if asked.path == "/v1/files" and asked.method == "POST":
            return self._keep_file(asked)
        if asked.path.startswith("/v1/files/"):
            return Answer(200, self.files[asked.path.removeprefix("/v1/files/")], {"content-type": "image/png"})
        if asked.path == "/v1/webhooks/default/secret":
            return Answer.json({"key": SIGNING_SECRET})
        if asked.path == f"/v1/models/{MODEL}":
            owner, name = MODEL.split("/")
            return Answer.json({"owner": owner, "name": name})
        _, _, kind, reference, *call = [*asked.path.split("/"), ""]
        prediction = self.predictions.get(reference) if kind == "predictions" else None
        if prediction is None:
            return Answer.json({"detail": "Not found", "status": 404}, 404)
        if call[0] == "cancel" and asked.method == "POST":
            self.cancelled.append(reference)
            prediction |= {"looks": 0, "ending": {"status": "canceled"}}
        return Answer.json(self._state(reference, prediction))

    def signature(self, body: bytes, at: float) -> dict[str, str]:
        """Return the headers of a webhook that is signed at `at`, in seconds since 1970 UTC."""
        key = base64.b64decode(SIGNING_SECRET.removeprefix("whsec_"))
        signed = hmac.new(key, f"msg_1.{int(at)}.".encode() + body, hashlib.sha256).digest()
        signature = f"v1,{base64.b64encode(signed).decode()}"
        return {"webhook-id": "msg_1", "webhook-timestamp": str(int(at)), "webhook-signature": signature}

    def _keep_file(self, asked: Asked) -> Answer:
        name = f"file{len(self.files)}"
        ((field, media_type, content),) = asked.form().files
        assert field == "content"
        self.files[name] = content
        document = {
            "id": name,
            "name": "picture.png",
            "content_type": media_type,
            "size": len(content),
            "etag": "x",
            "checksums": {},
            "metadata": {},
            "created_at": "2026-11-20T00:00:00Z",
            "expires_at": None,
            "urls": {"get": f"{self.url}/v1/files/{name}"},
        }
        return Answer.json(document, 201)

    def _state(self, reference: str, prediction: Document) -> Document:
        prediction["looks"] -= 1
        common = {
            "id": reference,
            "model": MODEL,
            "version": "hidden",
            "created_at": "2026-11-20T00:00:00Z",
            "input": {},
            "output": None,
            "error": None,
            "logs": "",
            "urls": {"get": f"{self.url}/v1/predictions/{reference}"},
        }
        if prediction["looks"] >= 0:
            return {**common, "status": "starting" if prediction["looks"] else "processing"}
        return {**common, "metrics": {"predict_time": 2.5}, **prediction["ending"]}

    def work(self, asked: Asked) -> Answer:
        body = asked.json()
        if asked.path != f"/v1/models/{MODEL}/predictions" and body.get("version") != VERSION:
            return Answer.json({"detail": "The requested resource could not be found.", "status": 404}, 404)
        if "cancel-after" in asked.headers and not _DEADLINE.fullmatch(asked.headers["cancel-after"]):
            return Answer.json({"detail": "Cancel-After is no duration"}, 422)
        reference = f"p{len(self.predictions):08d}"
        ending = self.endings.popleft() if self.endings else None
        self.predictions[reference] = {"looks": self.looks_needed, "ending": ending or self.made(body["input"])}
        state = {**self._state(reference, {"looks": 9, "ending": {}}), "input": body["input"]}
        return Answer.json(state, 201)

    def made(self, given: Document) -> Document:
        """Return how a prediction ends that goes well."""
        sent = [given[name] for name in ("picture", "input_image") if name in given]
        made = tinted(self._read(sent[0])) if sent else landscape()
        self.files["out"] = made
        return {"status": "succeeded", "output": [f"{self.url}/v1/files/out"]}

    def _read(self, address: str) -> bytes:
        if address.startswith("data:"):
            return base64.b64decode(address.partition(",")[2])
        return self.files[address.rpartition("/")[2]]


class ReplicateFilms(ReplicateStandIn):
    """A model that makes videos, and gives one address instead of a list."""

    def made(self, given: Document) -> Document:
        self.files["film.mp4"] = film()
        return {"status": "succeeded", "output": f"{self.url}/v1/files/film.mp4"}


def ending(**prediction: Any) -> Arrange:
    """Let the next prediction end like this."""
    return lambda vendor: vendor.endings.append(prediction)


_THROTTLED = "Request was throttled. Your rate limit resets in ~34s."
PICTURES = ("restore", "colourise", "restore_colourise", "edit", "generate", "upscale")
CASE = Case(
    adapter="replicate",
    stand_in=ReplicateStandIn,
    settings={"model": MODEL, "cost_usd_second": "0.001"},
    base="/v1",
    task="edit",
    makes="picture",
    tasks=PICTURES,
    cost=(2_500, False),
    limited=next_order(Answer.json({"detail": _THROTTLED, "status": 429}, 429)),
    limited_silently=next_order(Answer.json({"detail": "Request was throttled.", "status": 429}, 429)),
    used_up={"payment": next_order(Answer.json({"title": "Insufficient credit", "status": 402}, 402))},
    overloaded={
        "server error": next_order(Answer.json({"detail": "Oh"}, 500)),
        "interrupted": ending(status="failed", error="Prediction interrupted; please retry (code: PA)"),
        "out of memory": ending(status="failed", error="CUDA out of memory"),
        "aborted": ending(status="aborted"),
        "cancelled there": ending(status="canceled"),
    },
    refusals={
        "nsfw": ending(status="failed", error="NSFW content detected. Try a different prompt."),
        "E005": ending(status="failed", error="The input or output was flagged as sensitive. (E005)"),
    },
    damaged={
        "something else": ending(status="succeeded", output={"answer": 42}),
        "no picture at all": ending(status="succeeded", output="data:image/png;base64,PHN2Zy8+"),
        "the model's mistake": ending(status="failed", error="TypeError: 'NoneType' object is not iterable"),
        "a wrong field": next_order(Answer.json({"detail": "input.image is required", "status": 422}, 422)),
        "an inner address": ending(status="succeeded", output=["https://localhost/a.png"]),
    },
    lost={
        "a result that vanished": ending(status="succeeded", output=None, data_removed=True),
        "a prediction that vanished": lambda vendor: vendor.looks.append(Answer.json({"detail": "Not found"}, 404)),
        "a file that vanished": lambda vendor: vendor.endings.append(
            {"status": "succeeded", "output": [f"{vendor.url}/v1/predictions/none"]}
        ),
    },
    endless=lambda vendor: setattr(vendor, "looks_needed", 10**9),
)

VIDEO = Case(
    **{
        **vars(CASE),
        "name": "replicate video",
        "stand_in": ReplicateFilms,
        "task": "image_to_video",
        "makes": "video",
        "tasks": ("animate", "image_to_video", "text_to_video"),
        "damaged": {
            "a picture instead": ending(
                status="succeeded", output=f"data:image/png;base64,{base64.b64encode(landscape()).decode()}"
            ),
            "something else": ending(status="succeeded", output={"answer": 42}),
            "an inner address": ending(status="succeeded", output=["https://localhost/a.mp4"]),
        },
    }
)
