"""The one HTTP client of the providers: says of every failure whether the vendor may have begun to work.

    order  sends work that may be billed: once, on a connection of its own, never again by itself
    look   asks for what changes nothing: work that was handed over, health, prices
    fetch  gets a result from the address that a vendor named for it

What went wrong before the request was out is `transient`. What went wrong afterwards is `unknown` for an order:
the vendor may be at work, and may bill for it. A connection that was used before may be half dead, and dying after
the request was written it would look just the same; so orders don't reuse any.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx2

from penstock.providers import documents
from penstock.providers.seam import FailureKind, ProviderError

CONNECT_S, WRITE_S, LOOK_S, FETCH_S, UPLOAD_S = 10.0, 60.0, 30.0, 120.0, 120.0
MAX_REPLY_BYTES = 64_000_000  # four pictures of 4K in base64 take some 60 MB
MAX_SHOWN_CHARACTERS = 300  # of what a vendor says, in a detail for operators
HIDDEN = "[key]"

# Errors from before the first byte of the request was out.
_NOTHING_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError)
# A request that can't be put into bytes at all. The texts of these hold headers, and so the key: never shown.
_OURS = (httpx2.LocalProtocolError, httpx2.UnsupportedProtocol, httpx2.InvalidURL)


@dataclass(frozen=True)
class Reply:
    """What a vendor answered, whatever its status; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def ok(self) -> bool:
        """Whether the vendor says that it went well."""
        return 200 <= self.status < 300

    @property
    def media_type(self) -> str:
        """The type of the content as the vendor names it, without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def document(self) -> dict[str, Any] | None:
        """Return the JSON object of the answer (that of a list of one, too); None where there is none."""
        found = documents.read(self.content)
        if isinstance(found, list) and len(found) == 1:
            found = found[0]
        return found if isinstance(found, dict) else None

    def said(self) -> str:
        """Return the beginning of the content on one line, for operators."""
        return shortened(self.content[: 4 * MAX_SHOWN_CHARACTERS].decode("utf-8", "replace"))


def shortened(text: str) -> str:
    """Return a text on one line, not too long, and as it can be kept."""
    line = documents.fit(" ".join(text.split()))
    return line if len(line) <= MAX_SHOWN_CHARACTERS else f"{line[:MAX_SHOWN_CHARACTERS]}…"


class VendorClient:
    """Speaks HTTP with one vendor."""

    def __init__(
        self,
        base_url: str,
        headers: Mapping[str, str],
        *,
        secret: str = "",
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        """Speak with whoever answers at `base_url`; `secret` never stands in a reply or an error."""
        self.base_url = base_url.rstrip("/")
        self._headers = {"user-agent": "penstock", **headers}
        self._secret = secret.encode()
        trust = httpx2.create_ssl_context()
        once = httpx2.Limits(max_connections=None, max_keepalive_connections=0)
        self._once = httpx2.AsyncClient(verify=trust, limits=once, transport=transport)
        self._kept = httpx2.AsyncClient(verify=trust, transport=transport)

    async def order(
        self,
        path: str,
        *,
        timeout_s: float,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        fields: Mapping[str, str] | None = None,
        files: list[tuple[str, tuple[str, bytes, str]]] | None = None,
    ) -> Reply:
        """POST work that may be billed, and return the answer, whatever its status.

        Args:
            path: behind the base address, beginning with a slash.
            timeout_s: seconds that the vendor may be silent.
            content: the body; or `fields` and `files` of a form.

        Errors: ProviderError; `transient` if nothing was sent, `unknown` if the vendor may have begun.
        """
        timeout = httpx2.Timeout(timeout_s, connect=CONNECT_S, write=WRITE_S)
        sent = {**self._headers, **(headers or {}), "connection": "close"}
        options: dict[str, Any] = {"content": content} if content is not None else {"data": fields, "files": files}
        return await self._exchange(self._once, "unknown", "POST", self.base_url + path, timeout, sent, **options)

    async def look(self, path: str, *, method: str = "GET", timeout_s: float = LOOK_S) -> Reply:
        """Ask for something that changes nothing and costs nothing. Errors: ProviderError, `transient`."""
        timeout = httpx2.Timeout(timeout_s, connect=CONNECT_S)
        return await self._exchange(self._kept, "transient", method, self.base_url + path, timeout, self._headers)

    async def upload(self, path: str, name: str, file: tuple[str, bytes, str]) -> Reply:
        """POST a file that costs nothing by itself, ahead of the work. Errors: ProviderError, `transient`."""
        timeout = httpx2.Timeout(UPLOAD_S, connect=CONNECT_S)
        url, files = self.base_url + path, [(name, file)]
        return await self._exchange(self._once, "transient", "POST", url, timeout, self._headers, files=files)

    async def fetch(self, url: str, lost: FailureKind = "transient") -> bytes:
        """Return what lies at the address of a result.

        Errors: ProviderError; `lost` if it may work later: with `unknown`, nobody pays for the work again to get it.
        """
        if not _is_address(url):
            raise ProviderError("broken", f"the result lies at what is no address: {shortened(url)!r}")
        own = self._is_own(url)
        if not own and not _is_public(url):
            raise ProviderError("broken", f"the result lies at an address that is not public: {_host_of(url)}")
        headers = self._headers if own else {"user-agent": "penstock"}  # the key is for the vendor alone
        timeout = httpx2.Timeout(FETCH_S, connect=CONNECT_S)
        try:
            reply = await self._exchange(self._kept, lost, "GET", url, timeout, headers)
        except ProviderError as error:
            raise ProviderError(lost, error.detail) from error
        if not reply.ok:
            gone = reply.status in {403, 404, 410}
            detail = f"the result at {_host_of(url)} can't be had: HTTP {reply.status}"
            raise ProviderError("unknown" if gone else lost, detail, final=gone)
        return reply.content

    async def close(self) -> None:
        """Close every connection."""
        await self._once.aclose()
        await self._kept.aclose()

    async def _exchange(
        self,
        client: httpx2.AsyncClient,
        lost: FailureKind,
        method: str,
        url: str,
        timeout: httpx2.Timeout,  # noqa: ASYNC109 - the client's own, for each phase
        headers: Mapping[str, str],
        **options: Any,
    ) -> Reply:
        where = _host_of(url)
        try:
            async with client.stream(method, url, headers=dict(headers), timeout=timeout, **options) as response:
                return await self._read(response, lost)
        except _NOTHING_SENT as error:
            raise ProviderError("transient", f"{where} can't be reached: {type(error).__name__}") from error
        except _OURS as error:
            # Not `from error`: its text holds the header that is wrong, which may be the key.
            raise ProviderError("broken", f"the request can't be sent: {type(error).__name__}") from None
        except httpx2.HTTPError as error:
            raise ProviderError(lost, f"{where} was asked, and no answer came: {type(error).__name__}") from error

    async def _read(self, response: httpx2.Response, lost: FailureKind) -> Reply:
        headers = {name.lower(): value for name, value in response.headers.items()}
        content = bytearray()
        try:
            async for chunk in response.aiter_bytes():
                content += chunk
                if len(content) > MAX_REPLY_BYTES:
                    raise ProviderError("broken", f"its answer is larger than {MAX_REPLY_BYTES:,} bytes")
        except httpx2.HTTPError as error:
            if response.status_code < 400:
                raise ProviderError(lost, f"its answer broke off: {type(error).__name__}") from error
        return Reply(response.status_code, headers, self._without_secret(bytes(content)))

    def _without_secret(self, content: bytes) -> bytes:
        return content.replace(self._secret, HIDDEN.encode()) if self._secret else content

    def _is_own(self, url: str) -> bool:
        theirs, ours = urlsplit(url), urlsplit(self.base_url)
        return (theirs.scheme, theirs.netloc) == (ours.scheme, ours.netloc)


def _host_of(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]


def _is_address(url: str) -> bool:
    """Return whether what a vendor names can be read as an address at all."""
    try:
        return urlsplit(url).port != 0
    except ValueError:
        return False


def _is_public(url: str) -> bool:
    """Return whether an address that a vendor names may be asked: not one of ours, and not in the clear."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "https" or "." not in host or host.endswith((".local", ".internal", ".localhost")):
        return False
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return True
