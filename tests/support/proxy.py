"""A TCP proxy that goes wrong as it is told to, in front of a real server: away, cut, held up, or "not now" over HTTP.

Nothing here is timed. A test says after how many bytes a connection breaks, or holds the bytes back until it lets go.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

PIECE_BYTES = 16 * 1024
SLOW_DOWN = (
    b"HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b"
)
SLOW_DOWN_BODY = b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Reduce your request rate</Message></Error>"


@dataclass
class Proxy:
    """What stands between a client and `port` on loopback, and what it does to them.

    Args:
        away: connections are ended as soon as they are made, as by a server that is being started again.
        cut_up, cut_down: bytes of one connection to and from the server after which it breaks; None: it doesn't.
        not_now: how many of the next connections are answered with 503 SlowDown.
        flowing: cleared, bytes from the server are held back until it is set.
        silent: connections are taken, and nothing is ever answered.
        seen: connections that came, whatever became of them.
    """

    port: int
    away: bool = False
    silent: bool = False
    cut_up: int | None = None
    cut_down: int | None = None
    not_now: int = 0
    seen: int = 0
    broken: int = 0
    url: str = ""
    flowing: asyncio.Event = field(default_factory=asyncio.Event)
    _came: asyncio.Condition = field(default_factory=asyncio.Condition)
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)

    async def connections(self, count: int) -> None:
        """Wait until `count` connections have come, all told."""
        async with self._came:
            await self._came.wait_for(lambda: self.seen >= count)

    def drop(self) -> None:
        """Break every connection that is open now."""
        for task in self._tasks:
            task.cancel()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Handle one connection."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        async with self._came:
            self.seen += 1
            self._came.notify_all()
        try:
            await self._serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.away:
            self.broken += 1
            writer.transport.abort()
        elif self.silent:
            await reader.read()
        elif self.not_now > 0:
            self.not_now -= 1
            await reader.readuntil(b"\r\n\r\n")
            writer.write(SLOW_DOWN % (len(SLOW_DOWN_BODY), SLOW_DOWN_BODY))
            await writer.drain()
            writer.write_eof()
            while await reader.read(PIECE_BYTES):  # the rest of the request: unread, it would become a reset
                pass
        else:
            await self._between(reader, writer)

    async def _between(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self.port)
        up = asyncio.create_task(self._pipe(reader, server_writer, self.cut_up, None))
        down = asyncio.create_task(self._pipe(server_reader, writer, self.cut_down, self.flowing))
        try:
            await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            server_writer.transport.abort()
            for task in (up, down):
                task.cancel()
            await asyncio.gather(up, down, return_exceptions=True)

    async def _pipe(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        most: int | None,
        gate: asyncio.Event | None,
    ) -> None:
        """Pass bytes on until one side ends, or `most` have gone."""
        passed = 0
        while piece := await reader.read(PIECE_BYTES):
            if gate is not None:
                await gate.wait()
            writer.write(piece if most is None else piece[: max(0, most - passed)])
            passed += len(piece)
            await writer.drain()
            if most is not None and passed >= most:
                self.broken += 1
                writer.transport.abort()
                return
        with contextlib.suppress(OSError):
            writer.write_eof()


@asynccontextmanager
async def proxy(port: int) -> AsyncIterator[Proxy]:
    """Yield a proxy in front of a loopback port, on a loopback port of its own."""
    made = Proxy(port)
    made.flowing.set()
    listening = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        listening.close()
        made.drop()
        await asyncio.gather(*made._tasks, return_exceptions=True)
        await listening.wait_closed()
