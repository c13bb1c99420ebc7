"""The Redis server that processes share: opened with a clear word on what is wrong, and left alone while it is away.

Nothing that must last lies there: what it does (hints, rate limits) is done without it too, only less well. So each
question has a short limit, and after one that failed nobody is kept waiting until `REST_S` have passed.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

import structlog
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError

OLDEST_VERSION = (6, 2)
CONNECT_S = 5.0
ASK_S = 0.5  # by when a question must have been answered
REST_S = 1.0  # after a question that failed, before another is put
CONNECTIONS = 20  # of one process for questions, at most
TROUBLE = (RedisError, OSError, TimeoutError)

T = TypeVar("T")

log = structlog.get_logger()


class RedisUnavailableError(Exception):
    """The server can't be used: what is wrong and what to do."""


class RedisServer:
    """One Redis server, opened once per process by `open`."""

    def __init__(self, url: str) -> None:
        """Connect to nothing yet."""
        self.name = shown(url)
        self.database = int(urlsplit(url).path.strip("/") or 0)
        self.trouble: str | None = None
        """Why it is away, for operators; None while it is there."""
        self._url = url
        self.client = self.another_client(CONNECTIONS)
        self._rests_until = float("-inf")

    def another_client(self, connections: int) -> Redis:
        """Return a client with connections of its own; whoever asks for it closes it."""
        pool = BlockingConnectionPool.from_url(
            self._url,
            max_connections=connections,
            timeout=ASK_S,  # for one of them to become free
            socket_connect_timeout=CONNECT_S,
            socket_timeout=CONNECT_S,
            decode_responses=True,
            retry=Retry(NoBackoff(), 0),  # whoever asks knows what to do without an answer
        )
        return Redis.from_pool(pool)

    @classmethod
    async def open(cls, url: str) -> "RedisServer":
        """Return the server at `url`, such as `redis://user:password@host:6379/0`, once it has answered.

        Errors: RedisUnavailableError for one that can't be reached, refuses us or is too old.
        """
        server = cls(url)
        try:
            told = await server.client.info("server")
        except TROUBLE as error:
            await server.close()
            raise RedisUnavailableError(_why_not(server.name, error)) from error
        version = str(told["redis_version"])
        if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_VERSION:
            await server.close()
            oldest = ".".join(map(str, OLDEST_VERSION))
            raise RedisUnavailableError(f"{server.name} is Redis {version}, and Penstock needs {oldest} or later.")
        return server

    async def ask(self, question: Callable[[Redis], Awaitable[T]]) -> T:
        """Return the answer. Errors: RedisUnavailableError, at once while the server is known to be away."""
        clock = asyncio.get_running_loop().time
        if clock() < self._rests_until:
            raise RedisUnavailableError(self.trouble)
        try:
            async with asyncio.timeout(ASK_S):
                answer = await question(self.client)
        except TROUBLE as error:
            self._rests_until = clock() + REST_S
            self._went_away(f"{self.name}: {str(error) or 'no answer in time'}")
            raise RedisUnavailableError(self.trouble) from error
        self.has_answered()
        return answer

    def has_answered(self) -> None:
        """Know that it is there, whoever found out."""
        self._rests_until = float("-inf")
        if self.trouble is not None:
            log.info("redis.back", server=self.name)
            self.trouble = None

    async def close(self) -> None:
        """Close every connection."""
        await self.client.aclose()

    def _went_away(self, why: str) -> None:
        if self.trouble is None:  # once, not at every question
            log.warning("redis.away", error=why)
        self.trouble = why


def shown(url: str) -> str:
    """Return the address of a server as it may be logged: without user, password and options."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _why_not(where: str, error: Exception) -> str:
    if isinstance(error, AuthenticationError | NoPermissionError):
        return f"{where} refuses the user or the password: {error}. Look at PENSTOCK_REDIS_URL."
    said: Any = str(error) or "no answer in time"
    return f"{where} can't be reached: {said} See whether Redis runs there and takes connections from here."
