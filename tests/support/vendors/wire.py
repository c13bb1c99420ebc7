"""A server on a free loopback port, request by request under the test's control.

    asked -> the next of `faults`, if any -> the vendor's own work, which is billed

HTTP/1.1 is spoken by h11 on a bare socket, so that a connection can be cut at any byte.
"""

import asyncio
import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self
from urllib.parse import parse_qsl, unquote, urlsplit

import h11

KEY = "key-of-the-tests-1234567890"
CHUNK_BYTES = 65_536

Trouble = Literal["cut", "half", "silent"]
"""After the work: no answer at all, half of one, or none until the test lets it through."""


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> dict[str, Any]:
        """Return the body as a JSON object."""
        read = json.loads(self.body)
        assert isinstance(read, dict)
        return read

    def form(self) -> "Form":
        """Return the body as a form with files."""
        kind, _, boundary = self.headers["content-type"].partition("boundary=")
        assert kind.startswith("multipart/form-data"), kind
        fields: dict[str, str] = {}
        files: list[tuple[str, str, bytes]] = []
        for part in self.body.split(b"--" + boundary.strip('"').encode())[1:-1]:
            head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
            said = head.decode()
            name = said.split('name="', 1)[1].split('"', 1)[0]
            content = content.removesuffix(b"\r\n")
            if "filename=" in said:
                media_type = said.lower().split("content-type:", 1)[1].split()[0]
                files.append((name, media_type, content))
            else:
                fields[name] = content.decode()
        return Form(fields, files)


@dataclass(frozen=True)
class Form:
    """Fields by name, and files as (name, media type, content)."""

    fields: Mapping[str, str]
    files: list[tuple[str, str, bytes]]


@dataclass(frozen=True)
class Answer:
    """What goes back."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def json(cls, document: object, status: int = 200, **headers: str) -> "Answer":
        """Return a JSON answer; underscores in the names of `headers` are dashes."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return cls(status, json.dumps(document).encode(), {"content-type": "application/json", **named})


PAGE = b"<!doctype html><title>Hello</title><h1>This is a page for people</h1>"


def page(status: int = 200) -> Answer:
    """Return what a proxy in between might say."""
    return Answer(status, PAGE, {"content-type": "text/html; charset=utf-8"})


class StandIn:
    """A vendor's server. Subclasses do the work and know how the vendor says that something is wrong.

    Args:
        faults: what the next orders come to; an Answer is given instead of the work, a Trouble after it.
        looks: the same for the next requests that cost nothing.
        says: headers that every answer carries.
        billed: how often work was done that the real vendor would charge for.
        held: set whenever an order waits, `release` lets it go on.
    """

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.faults: deque[Answer | Trouble] = deque()
        self.looks: deque[Answer] = deque()
        self.says: dict[str, str] = {}
        self.billed = 0
        self.held = asyncio.Event()
        self.release = asyncio.Event()
        self.url = ""
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self.release.set()
        self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def orders(self) -> list[Asked]:
        """The requests that the vendor would charge for."""
        return [asked for asked in self.asked if self.is_order(asked)]

    # ---- what each vendor fills in ----

    def is_order(self, asked: Asked) -> bool:
        """Return whether a request is for work that is billed."""
        raise NotImplementedError

    def admitted(self, asked: Asked) -> Answer | None:
        """Return what is wrong with the key; None if it is right."""
        raise NotImplementedError

    def work(self, asked: Asked) -> Answer:
        """Do what was ordered."""
        raise NotImplementedError

    def look(self, asked: Asked) -> Answer:
        """Answer what costs nothing."""
        raise NotImplementedError

    # ---- the wire ----

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await self._talk(reader, writer)
        except (ConnectionError, h11.RemoteProtocolError):
            pass  # the client went away
        finally:
            self._connections.discard(task)
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER)
        while (asked := await _next_request(connection, reader)) is not None:
            self.asked.append(asked)
            answer = await self._answer(asked)
            if answer is None:
                return
            trouble, reply = answer
            head = connection.send(_head(reply, self.says)) or b""
            whole = head + (connection.send(h11.Data(data=reply.body)) or b"")
            if trouble == "half":
                writer.write(whole[: len(head) + len(reply.body) // 2])
                await writer.drain()
                return
            writer.write(whole + (connection.send(h11.EndOfMessage()) or b""))
            await writer.drain()
            if connection.our_state is h11.MUST_CLOSE:
                return
            connection.start_next_cycle()

    async def _answer(self, asked: Asked) -> tuple[Trouble | None, Answer] | None:
        refused = self.admitted(asked)
        if refused is not None:
            return None, refused
        if not self.is_order(asked):
            return None, self.looks.popleft() if self.looks else self.look(asked)
        fault = self.faults.popleft() if self.faults else None
        if isinstance(fault, Answer):
            return None, fault
        answer = self.work(asked)
        if answer.status < 400:
            self.billed += 1
        if fault == "silent":
            self.held.set()
            await self.release.wait()
        return None if fault == "cut" else (fault, answer)


async def _next_request(connection: h11.Connection, reader: asyncio.StreamReader) -> Asked | None:
    head: h11.Request | None = None
    body = bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(CHUNK_BYTES))
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            assert head is not None
            return _asked(head, bytes(body))
        else:
            return None


def _asked(head: h11.Request, body: bytes) -> Asked:
    target = urlsplit(head.target.decode())
    headers = {name.decode().lower(): value.decode() for name, value in head.headers}
    return Asked(head.method.decode(), unquote(target.path), dict(parse_qsl(target.query)), headers, body)


def _head(reply: Answer, says: Mapping[str, str]) -> h11.Response:
    headers = [*reply.headers.items(), *says.items(), ("content-length", str(len(reply.body)))]
    return h11.Response(status_code=reply.status, headers=headers)
