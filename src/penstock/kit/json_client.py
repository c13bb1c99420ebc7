"""Small JSON documents over HTTP, from servers that are named in the product file and not trusted further than that.

Nothing is followed, kept or believed beyond its limits: no redirects, `MAX_BYTES` of an answer, `TIMEOUT_S` in all.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx2

TIMEOUT_S = 10.0  # for the whole of one exchange
MAX_BYTES = 512 * 1_024  # of one answer
MAX_CONNECTIONS = 20


class JsonUnavailableError(Exception):
    """A server did not answer, or not with what can be read; the message is for operators."""


@dataclass(frozen=True)
class JsonAnswer:
    """An answer that holds a JSON object; `ok`: its status is 200."""

    ok: bool
    values: dict[str, Any]


class JsonClient:
    """Asks for JSON objects.

    Args:
        transport: instead of the network.
    """

    def __init__(self, transport: httpx2.AsyncBaseTransport | None = None) -> None:
        self._client = httpx2.AsyncClient(
            headers={"user-agent": "penstock", "accept": "application/json"},
            timeout=TIMEOUT_S,
            limits=httpx2.Limits(max_connections=MAX_CONNECTIONS),
            transport=transport,
            trust_env=False,
        )

    async def get(self, url: str, bearer: str | None = None) -> JsonAnswer:
        """Read a document. Errors: JsonUnavailableError."""
        headers = {} if bearer is None else {"authorization": f"Bearer {bearer}"}
        return await self._ask("GET", url, headers=headers)

    async def post(self, url: str, form: Mapping[str, str], basic: tuple[str, str] | None = None) -> JsonAnswer:
        """Send a form, perhaps with a name and a password. Errors: JsonUnavailableError."""
        auth = None if basic is None else httpx2.BasicAuth(*basic)
        return await self._ask("POST", url, data=dict(form), auth=auth)

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.aclose()

    async def _ask(self, method: str, url: str, **options: Any) -> JsonAnswer:
        try:
            async with asyncio.timeout(TIMEOUT_S), self._client.stream(method, url, **options) as response:
                content = await _content(response)
        except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError) as error:
            raise JsonUnavailableError(f"{url} did not answer: {type(error).__name__}") from error
        try:
            values = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise JsonUnavailableError(f"{url} answered {response.status_code} without JSON") from error
        if not isinstance(values, dict):
            raise JsonUnavailableError(f"{url} answered {response.status_code} without a JSON object")
        return JsonAnswer(response.status_code == 200, values)


async def _content(response: httpx2.Response) -> bytes:
    content = bytearray()
    async for chunk in response.aiter_bytes():
        content += chunk
        if len(content) > MAX_BYTES:
            raise JsonUnavailableError(f"{response.url} answered more than {MAX_BYTES:,} bytes")
    return bytes(content)
