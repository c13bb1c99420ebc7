"""The one HTTP client: results are fetched from public places only, and the key goes to nobody but its vendor."""

from collections.abc import AsyncIterator

import httpx2
import pytest

from penstock.providers.http import HIDDEN, Reply, VendorClient
from penstock.providers.seam import ProviderError

KEY = "secret-key-123"


class Recorder(httpx2.AsyncBaseTransport):
    """Answers everything and remembers what was asked."""

    def __init__(self) -> None:
        self.asked: list[httpx2.Request] = []
        self.answer = httpx2.Response(200, content=b"result")
        self.error: Exception | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request)
        if self.error is not None:
            raise self.error
        return self.answer


@pytest.fixture
def wire() -> Recorder:
    return Recorder()


@pytest.fixture
async def client(wire: Recorder) -> AsyncIterator[VendorClient]:
    opened = VendorClient(
        "https://api.vendor.example/v1/", {"authorization": f"Bearer {KEY}"}, secret=KEY, transport=wire
    )
    yield opened
    await opened.close()


async def test_a_result_elsewhere_is_fetched_without_the_key(client: VendorClient, wire: Recorder) -> None:
    assert await client.fetch("https://files.vendor.example/a.png") == b"result"
    assert "authorization" not in wire.asked[0].headers


async def test_a_result_at_the_vendors_own_address_is_fetched_with_it(client: VendorClient, wire: Recorder) -> None:
    await client.fetch("https://api.vendor.example/v1/files/1")
    assert wire.asked[0].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    "url",
    [
        *("http://files.vendor.example/a", "https://localhost/a", "https://127.0.0.1/a", "https://169.254.169.254/a"),
        *("https://10.0.0.7/a", "https://[::1]/a", "https://db.internal/a", "https://printer.local/a", "file:///a"),
        *("ftp://files.vendor.example/a", "https:///a", "", "https://intranet/a", "http://api.vendor.example/a"),
    ],
)
async def test_a_result_is_fetched_from_nowhere_inside(client: VendorClient, wire: Recorder, url: str) -> None:
    with pytest.raises(ProviderError) as caught:
        await client.fetch(url)
    assert caught.value.kind == "broken"
    assert wire.asked == []


@pytest.mark.parametrize(("status", "kind", "final"), [(404, "unknown", True), (503, "transient", False)])
async def test_a_result_that_is_gone_stays_gone(
    client: VendorClient, wire: Recorder, status: int, kind: str, final: bool
) -> None:
    wire.answer = httpx2.Response(status)
    with pytest.raises(ProviderError) as caught:
        await client.fetch("https://files.vendor.example/a.png")
    assert (caught.value.kind, caught.value.final) == (kind, final)


@pytest.mark.parametrize(
    ("error", "ordered", "looked"),
    [
        (httpx2.ConnectError("refused"), "transient", "transient"),
        (httpx2.ConnectTimeout("slow"), "transient", "transient"),
        (httpx2.PoolTimeout("full"), "transient", "transient"),
        (httpx2.ProxyError("no"), "transient", "transient"),
        (httpx2.WriteError("broken pipe"), "unknown", "transient"),
        (httpx2.WriteTimeout("slow"), "unknown", "transient"),
        (httpx2.ReadTimeout("silent"), "unknown", "transient"),
        (httpx2.ReadError("reset"), "unknown", "transient"),
        (httpx2.RemoteProtocolError("disconnected"), "unknown", "transient"),
        (httpx2.LocalProtocolError(f"Illegal header value b'{KEY}'"), "broken", "broken"),
        (httpx2.UnsupportedProtocol("gopher"), "broken", "broken"),
    ],
)
async def test_what_went_wrong_tells_whether_the_vendor_may_have_begun(
    client: VendorClient, wire: Recorder, error: Exception, ordered: str, looked: str
) -> None:
    wire.error = error
    with pytest.raises(ProviderError) as order:
        await client.order("/work", timeout_s=1, content=b"{}")
    with pytest.raises(ProviderError) as look:
        await client.look("/work")
    assert (order.value.kind, look.value.kind) == (ordered, looked)
    assert KEY not in f"{order.value}{order.value.__cause__}{look.value}{look.value.__cause__}"
    assert len(wire.asked) == 2, "nothing is sent again by itself"


async def test_a_redirect_is_not_followed(client: VendorClient, wire: Recorder) -> None:
    wire.answer = httpx2.Response(307, headers={"location": "https://elsewhere.example/"})
    assert (await client.order("/work", timeout_s=1, content=b"{}")).status == 307
    assert len(wire.asked) == 1


async def test_a_key_that_comes_back_is_taken_out(client: VendorClient, wire: Recorder) -> None:
    wire.answer = httpx2.Response(401, content=f"the key {KEY} is wrong".encode())
    assert (await client.look("/x")).content == f"the key {HIDDEN} is wrong".encode()


def test_a_reply_reads_objects_and_lists_of_one() -> None:
    assert Reply(200, {}, b'[{"a": 1}]').document() == {"a": 1}
    assert Reply(200, {}, b"[]").document() is None
    assert Reply(200, {"content-type": "Text/HTML; charset=utf-8"}, b"").media_type == "text/html"
