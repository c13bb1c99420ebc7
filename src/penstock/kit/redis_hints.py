"""Hints over Redis (publish and subscribe), for processes that share a Redis server."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from redis.asyncio import Redis
from redis.asyncio.client import PubSub

from penstock.kit.redis_server import CONNECT_S, TROUBLE, RedisServer
from penstock.kit.shared_hints import LineError

CONNECTIONS = 2  # one to say, one to hear


class RedisLine:
    """See `Line`.

    Args:
        channel: known to all processes that belong together, and to nobody else: channels know no database numbers.
    """

    def __init__(self, server: RedisServer, channel: str) -> None:
        self.name = server.name
        self._server, self._channel = server, channel
        self._client: Redis | None = None  # its own, so that hints never wait for other people's questions
        self._listening: PubSub | None = None
        self._reading: asyncio.Task[None] | None = None

    async def open(self, heard: Callable[[str], None], broken: Callable[[], None]) -> None:
        """Connect and listen."""
        client = self._client = self._server.another_client(CONNECTIONS)
        listening = self._listening = client.pubsub()
        try:
            await listening.subscribe(self._channel)
            async with asyncio.timeout(CONNECT_S):
                await listening.get_message(timeout=None)  # that it is subscribed: from here on nothing is missed
        except TROUBLE as error:
            raise LineError(f"{self.name}: {str(error) or 'no answer in time'}") from error
        self._server.has_answered()
        self._reading = asyncio.create_task(self._read(listening, heard, broken), name="hints from Redis")

    async def say(self, text: str) -> None:
        """Say a text."""
        assert self._client is not None, "say comes after open"
        try:
            await self._client.publish(self._channel, text)
        except TROUBLE as error:
            raise LineError(f"{self.name}: {str(error) or 'no answer in time'}") from error

    async def close(self) -> None:
        """Disconnect."""
        reading, self._reading = self._reading, None
        if reading is not None:
            reading.cancel()
            await asyncio.wait([reading])
        listening, self._listening = self._listening, None
        if listening is not None:
            with suppress(*TROUBLE):
                await listening.aclose()  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
        client, self._client = self._client, None
        if client is not None:
            with suppress(*TROUBLE):
                await client.aclose()

    async def _read(self, listening: PubSub, heard: Callable[[str], None], broken: Callable[[], None]) -> None:
        try:
            with suppress(*TROUBLE):
                async for message in listening.listen():
                    if message["type"] == "message":
                        heard(message["data"])
        finally:
            broken()
