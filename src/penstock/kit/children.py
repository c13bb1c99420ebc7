"""Child processes for work that needs a processor and may die: decoding strangers' pictures, restoring them.

`await children.call(function, …)` runs a plain module-level function in a process of its own and returns what it
returned. The event loop never waits for it. Whatever happens to the child (a segmentation fault, the kernel's
out-of-memory killer, an endless loop) happens to that one call, which raises; the next call gets a fresh child.

Each call is one fork of a warm process (`kit.zygote`): milliseconds, and no state is carried from call to call.
Pass file paths rather than pixels where there is a choice; arrays travel as uncopied buffers (pickle protocol 5).

A child may have been taken over by a hostile picture. So it starts without this process's environment (where keys
are), and its answer can name only harmless classes when it is read back (`_Answer`).
"""

import asyncio
import contextlib
import enum
import io
import itertools
import os
import pickle
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, is_dataclass
from datetime import date, datetime, time, timedelta
from pathlib import PurePath
from typing import Any, Final, TypeVar

from penstock.kit.zygote import COMMAND, EVENT, FORK, KILL, LENGTH, READY, Settings, pack

T = TypeVar("T")
Progress = Callable[[str, float], None]
"""Takes the stage and how much of it is done, 0 to 1."""

DEFAULT_MEMORY_BYTES: Final = 2 << 30
DEFAULT_FILE_BYTES: Final = 256 << 20
MAX_FRAME_PARTS: Final = 1_000
STREAM_BYTES: Final = 1 << 20
INHERITED_VARIABLES: Final = ("HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "PYTHONPATH", "TMPDIR", "TZ")


class ChildError(Exception):
    """A call did not come to an end of its own."""


class ChildDiedError(ChildError):
    """The child died (a signal, its memory limit) or could not be started."""


class ChildTimeoutError(ChildError):
    """The child did not answer in time and was killed."""


class ChildFailedError(ChildError):
    """The function raised something that can't be brought over; the text tells what."""


class Children:
    """Runs functions in child processes, at most `size` at one time, the longest waiting call first.

    Args:
        size: child processes at one time.
        memory_bytes: what one child may allocate.
        file_bytes: how large a file that a child writes may grow.
        threads: threads of OpenCV in each child; by default the processors shared out among `size` children.
        preload: modules loaded once, before any call, so that calls needn't.
        environment: variables that the children get beside a few harmless ones of this process.
    """

    def __init__(
        self,
        size: int,
        *,
        memory_bytes: int = DEFAULT_MEMORY_BYTES,
        file_bytes: int = DEFAULT_FILE_BYTES,
        threads: int | None = None,
        preload: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        if size < 1:
            raise ValueError(f"size must be at least 1, not {size}")
        self.size = size
        self._memory_bytes = memory_bytes
        self._file_bytes = file_bytes
        self._threads = threads or max(1, (os.cpu_count() or 1) // size)
        self._preload = tuple(preload)
        self._environment = dict(environment or {})
        self._closed = False
        # In a fork: the zygotes of the processes that it comes from. Their event loops watch the sockets by an epoll
        # that forks share, so collecting them here would take them from there.
        self._inherited: list[_Zygote] = []
        self._zygote: _Zygote | None = None
        self._begin()

    def _begin(self) -> None:
        """Start with every place free and nothing running; once more in a fork of this process."""
        self._owner = os.getpid()
        if self._zygote is not None:
            self._inherited.append(self._zygote)
        self._zygote = None
        self._slots = asyncio.Semaphore(self.size)
        self._starting = asyncio.Lock()

    async def call(
        self,
        function: Callable[..., T],
        /,
        *args: object,
        timeout_s: float,
        progress: Progress | None = None,
        **kwargs: object,
    ) -> T:
        """Run `function(*args, **kwargs)` in a child and return what it returns.

        If this call is cancelled the child is killed.

        Args:
            function: defined at the top of an importable module.
            timeout_s: seconds from when the child is there; waiting for a free place doesn't count.
            progress: called here with what the function reports to its own keyword argument `progress`; a report
                within 50 ms of the last one about the same stage is left out.

        Errors:
            what the function raised; ChildDiedError, ChildTimeoutError, ChildFailedError.
        """
        if function.__module__ == "__main__":
            raise ValueError(
                f"{function.__qualname__} is defined in a script; move it to a module to run it in a child"
            )
        if self._owner != os.getpid():
            self._begin()
        request = pack((function, args, kwargs, progress is not None))
        await self._slots.acquire()
        try:
            child = await (await self._started()).fork(self._memory_bytes)
        except BaseException:
            self._slots.release()
            raise
        child.ended.add_done_callback(lambda _: self._slots.release())
        try:
            result: T = await self._converse(child, request, timeout_s, progress)
            return result
        finally:
            child.dismiss()

    async def start(self) -> None:
        """Load the modules now rather than at the first call. Errors: ChildDiedError."""
        await self._started()

    async def close(self) -> None:
        """Kill every child, wait for their end, and refuse calls from now on."""
        self._closed = True
        if self._owner != os.getpid():
            return  # these children are another process's
        async with self._starting:
            if self._zygote is not None:
                await self._zygote.close()
                self._zygote = None

    async def _started(self) -> "_Zygote":
        async with self._starting:
            if self._closed:
                raise ChildDiedError("no more children: the pool is closed")
            if self._zygote is None or not self._zygote.alive:
                settings = Settings(tuple(sys.path), self._preload, self._memory_bytes, self._file_bytes, self._threads)
                self._zygote = await _Zygote.start(settings, self._variables())
            zygote = self._zygote
        await zygote.ready()
        return zygote

    async def _converse(
        self, child: "_Child", request: Sequence[bytes | memoryview], timeout_s: float, progress: Progress | None
    ) -> Any:
        try:
            async with asyncio.timeout(timeout_s) as limit:
                return await child.ask(request, progress)
        except TimeoutError as error:
            if not limit.expired():
                raise  # the function's own
            raise ChildTimeoutError(f"no answer within {timeout_s:g} s") from error

    def _variables(self) -> dict[str, str]:
        inherited = {name: os.environ[name] for name in INHERITED_VARIABLES if name in os.environ}
        # One thread while it forks: OpenBLAS would start its own at import, and threads don't survive a fork.
        single = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        return inherited | single | {"OPENCV_FOR_THREADS_NUM": str(self._threads)} | self._environment


@dataclass
class _Child:
    """A running child, as seen from here."""

    call: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    zygote: "_Zygote"
    max_answer_bytes: int
    ended: asyncio.Future[int | None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    async def ask(self, request: Sequence[bytes | memoryview], progress: Progress | None) -> Any:
        """Send the request, pass on what is reported, return the result or raise."""
        try:
            for part in request:
                self.writer.write(part)
                await self.writer.drain()
            kind, *content = await self._answer()
            while kind == "progress":
                if progress is not None:
                    progress(*content)
                kind, *content = await self._answer()
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise ChildDiedError(f"the child {_ending(await self.ended)}") from error
        return _outcome(kind, content)

    def dismiss(self) -> None:
        """Kill it if it is still there."""
        self.writer.close()
        if not self.ended.done():
            self.zygote.kill(self.call)

    async def _answer(self) -> tuple[Any, ...]:
        (count,) = LENGTH.unpack(await self.reader.readexactly(LENGTH.size))
        if not 1 <= count <= MAX_FRAME_PARTS:
            raise ChildDiedError("the child answered nonsense")
        lengths = [LENGTH.unpack(await self.reader.readexactly(LENGTH.size))[0] for _ in range(count)]
        if sum(lengths) > self.max_answer_bytes:
            raise ChildDiedError(f"the child's answer is larger than {self.max_answer_bytes:,} bytes")
        body, *buffers = [await self.reader.readexactly(length) for length in lengths]
        answer = _read_answer(body, buffers)
        if not isinstance(answer, tuple) or not answer:
            raise ChildDiedError("the child answered nonsense")
        return answer


class _Zygote:
    """The process that forks, as seen from here."""

    def __init__(self, process: subprocess.Popen[bytes], commands: socket.socket) -> None:
        self._process = process
        self._commands = commands
        self._calls = itertools.count(1)
        self._children: dict[int, _Child] = {}
        self._hung_up = False
        self._ready = asyncio.Event()
        self._listening: asyncio.Task[None] | None = None

    @classmethod
    async def start(cls, settings: Settings, variables: Mapping[str, str]) -> "_Zygote":
        """Start one and hand it the settings."""
        commands, their_commands = socket.socketpair()
        events, their_events = socket.socketpair()
        with their_commands, their_events:
            theirs = (their_commands.fileno(), their_events.fileno())
            process = await asyncio.to_thread(_spawn, theirs, variables)
        for part in pack(settings):
            commands.sendall(part)
        commands.settimeout(0)
        zygote = cls(process, commands)
        reader, writer = await asyncio.open_unix_connection(sock=events)
        zygote._listening = asyncio.create_task(zygote._listen(reader, writer))
        return zygote

    async def ready(self) -> None:
        """Return once the modules are loaded. Errors: ChildDiedError."""
        await self._ready.wait()
        if self._hung_up:
            raise ChildDiedError("the process that makes children is gone")

    @property
    def alive(self) -> bool:
        """False once it is gone."""
        return not self._hung_up

    async def fork(self, max_answer_bytes: int) -> _Child:
        """Return a fresh child, waiting for its request."""
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                reader, writer = await asyncio.open_unix_connection(sock=ours, limit=STREAM_BYTES)
            except BaseException:
                ours.close()
                raise
            child = _Child(next(self._calls), reader, writer, self, max_answer_bytes)
            self._children[child.call] = child
            try:
                socket.send_fds(self._commands, [COMMAND.pack(FORK, child.call)], [theirs.fileno()])
            except OSError as error:
                self._children.pop(child.call, None)
                writer.close()
                raise ChildDiedError("the process that makes children is gone") from error
        return child

    def kill(self, call: int) -> None:
        """Kill the child of `call`, if it is still there."""
        with contextlib.suppress(OSError):  # a zygote that is gone took its children along
            self._commands.send(COMMAND.pack(KILL, call))

    async def close(self) -> None:
        """Hang up and wait for its end."""
        self._commands.close()
        if self._listening is not None:
            await self._listening

    async def _listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Note how children end; ends with the zygote."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                call, code = EVENT.unpack(await reader.readexactly(EVENT.size))
                if call == READY:
                    self._ready.set()
                else:
                    self._end(self._children.pop(call), code)
        self._hung_up = True
        self._ready.set()
        writer.close()
        self._commands.close()
        await asyncio.to_thread(self._process.wait)
        for child in self._children.values():
            self._end(child, None)
        self._children.clear()

    def _end(self, child: _Child, code: int | None) -> None:
        if not child.ended.done():
            child.ended.set_result(code)


def _spawn(sockets: tuple[int, int], variables: Mapping[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-m", "penstock.kit.zygote", *map(str, sockets)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        pass_fds=sockets,
        env=dict(variables),
        start_new_session=True,  # Ctrl-C at a terminal is for the parent alone
    )


def _outcome(kind: str, content: Sequence[Any]) -> Any:
    if kind == "result":
        return content[0]
    if kind == "memory":
        raise ChildDiedError(f"the child ran out of memory ({content[0]})")
    text, pickled = content
    raise _brought_over(text, pickled)


def _brought_over(text: str, pickled: bytes | None) -> Exception:
    if pickled is not None:
        with contextlib.suppress(Exception):
            error = _read_answer(pickled, [])
            if isinstance(error, Exception):
                return error
    return ChildFailedError(text)


def _ending(code: int | None) -> str:
    if code is None:
        return "was killed with the process that made it"
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"left without an answer (exit code {code})"


_NUMPY_REBUILDERS: Final = {
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy._core.numeric", "_frombuffer"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
}
_PLAIN_CLASSES: Final = (BaseException, enum.Enum, PurePath, date, datetime, time, timedelta, set, frozenset, bytearray)


class _Answer(pickle.Unpickler):
    """Reads what a child sent; a hostile one gets no further than making values of harmless classes."""

    def find_class(self, module: str, name: str) -> Any:
        """Return an allowed class that is already loaded here. Errors: UnpicklingError."""
        found: Any = sys.modules.get(module)
        for part in name.split("."):
            found = getattr(found, part, None)
        if found is not None and ((module, name) in _NUMPY_REBUILDERS or _is_plain(found)):
            return found
        raise pickle.UnpicklingError(f"a child may not send {module}.{name}")


def _is_plain(found: object) -> bool:
    if not isinstance(found, type):
        return False
    return (
        is_dataclass(found)
        or issubclass(found, _PLAIN_CLASSES)
        or (issubclass(found, tuple) and hasattr(found, "_fields"))
    )


def _read_answer(body: bytes, buffers: Sequence[bytes]) -> Any:
    try:
        return _Answer(io.BytesIO(body), buffers=[bytearray(buffer) for buffer in buffers]).load()
    except Exception as error:
        raise ChildDiedError(f"the child's answer can't be read: {error}") from error
