"""Many live connections, in small: everything is heard, and what is missing is noticed."""

import json

import pytest
from benchmarks.engines import contest, sockets
from websockets.asyncio.client import ClientConnection


def test_a_server_tells_its_sockets_and_the_clients_hand_in_what_they_measured() -> None:
    measured = contest.run_once("ours", ["benchmarks.engines.sockets", "listen", "--sockets", "8"])
    assert 0 < measured["p50"] <= measured["p95"]
    assert measured["opened_s"] > 0


async def test_an_event_that_is_missing_is_noticed() -> None:
    class Lossy:
        numbers = iter((0, 1, 3))

        async def recv(self) -> str:
            return json.dumps({"type": "job.progress", "data": {"number": next(self.numbers), "sent": 0.0}})

    lossy: ClientConnection = Lossy()  # type: ignore[assignment]  # all that is asked of it
    with pytest.raises(sockets.LostEventError, match="3 came instead of 2"):
        await sockets._heard(lossy)
