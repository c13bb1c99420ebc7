"""Where announced pictures are handed in, as a client sees it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from penstock.kit.clock import ManualClock
from tests.support.flows import PATIENCE_S
from tests.unit.media.pictures import coffee, encoded

if TYPE_CHECKING:
    from tests.unit.media.conftest import Stage

PHOTO = encoded(coffee())
OTHER = encoded(coffee()[::-1])
BASE = "http://test"
ON_FOLDER = pytest.mark.parametrize("counter", ["folder"], indirect=True)
ON_BUCKET = pytest.mark.parametrize("counter", ["bucket"], indirect=True)


@dataclass
class Counter:
    """Where announced pictures are handed in, and the client of `acc_ann`."""

    stage: "Stage"
    client: httpx2.AsyncClient
    stored: Callable[[], set[str]]
    clock: ManualClock
    """The clock that forms end by; another than the stage's where a real server looks at the time."""

    async def presign(
        self, content: bytes = PHOTO, media_type: str = "image/jpeg", account: str = "acc_ann"
    ) -> dict[str, Any]:
        body = {"bytes": len(content), "media_type": media_type}
        answer = await self.client.post("/uploads/presign", json=body, headers={"X-Account": account})
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told

    async def send(self, told: dict[str, Any], content: bytes = PHOTO, changed: Any = ()) -> httpx2.Response:
        """Send a picture as a browser does: a form, without credentials."""
        form = {"data": told["fields"] | dict(changed), "files": {"file": ("my photo.jpg", content, "image/jpeg")}}
        if told["url"].startswith(BASE):
            return await self.client.post(told["url"], headers={"X-Account": ""}, **form)
        async with httpx2.AsyncClient(timeout=PATIENCE_S) as client:
            return await client.post(told["url"], **form)

    async def sent(self, content: bytes = PHOTO) -> str:
        """Announce and send a picture; returns the id to hand in."""
        told = await self.presign(content)
        answer = await self.send(told, content)
        assert answer.status_code == 204, answer.text
        upload_id: str = told["id"]
        return upload_id

    async def complete(self, upload_id: str, account: str = "acc_ann") -> httpx2.Response:
        return await self.client.post(f"/uploads/{upload_id}/complete", headers={"X-Account": account})

    async def rows(self) -> dict[str, str]:
        found = await self.stage.database.read(lambda tx: tx.all("SELECT key, state FROM files"))
        return {row["key"]: row["state"] for row in found}

    async def slips(self) -> int:
        count: int = await self.stage.database.read(lambda tx: tx.value("SELECT COUNT(*) FROM upload_slips"))
        return count

    async def later(self, seconds: float) -> None:
        self.stage.clock.advance(seconds)
        await self.stage.media.sweep()


def code_of(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]
