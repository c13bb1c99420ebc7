"""The other end of `kit.children`: a small process that forks one child for each call, and what that child does.

`python -m penstock.kit.zygote COMMANDS EVENTS` is started by `Children` with two sockets. It has one thread, loads the
modules that calls will need once, and then forks on request, which takes milliseconds because nothing is imported
anew. A child lives for one call: what one customer's picture did to it can't reach the next.

Whoever holds the other end dies: COMMANDS reads end-of-file, the zygote kills its children and leaves. The zygote
itself is killed: the kernel kills the children (PR_SET_PDEATHSIG). Nothing is left behind either way.
"""

import contextlib
import ctypes
import gc
import importlib
import os
import pickle
import resource
import select
import signal
import socket
import struct
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, NoReturn

COMMAND: Final = struct.Struct("!cQ")  # FORK (with the child's socket attached) or KILL, number of the call
EVENT: Final = struct.Struct("!Qi")  # number of the call, how its child ended (as `os.waitstatus_to_exitcode`)
LENGTH: Final = struct.Struct("!Q")
FORK: Final = b"f"
KILL: Final = b"k"
FORK_FAILED: Final = 127  # exit code reported for a child that could not be made

NICENESS: Final = 5  # steps by which picture work stands behind the event loop for the processor
MAX_OPEN_FILES: Final = 256
ADDRESS_SLACK_BYTES: Final = 2 << 30  # address space that is reserved but never touched: thread stacks, malloc arenas
PROGRESS_INTERVAL_S: Final = 0.05
READY: Final = 0  # in place of a call's number: the modules are loaded
_PR_SET_PDEATHSIG: Final = 1
_C_LIBRARY: Final = ctypes.CDLL(None)

Kind = Literal["result", "raised", "memory", "progress"]


@dataclass(frozen=True)
class Settings:
    """What every child is held to; the first frame on COMMANDS."""

    path: tuple[str, ...]
    preload: tuple[str, ...]
    memory_bytes: int
    file_bytes: int
    threads: int


def pack(value: object) -> list[bytes | memoryview]:
    """Return `value` as the parts of one frame: count, lengths, pickle, large buffers uncopied (pickle protocol 5)."""
    buffers: list[pickle.PickleBuffer] = []
    body = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    parts: list[bytes | memoryview] = [body, *(buffer.raw() for buffer in buffers)]
    lengths = b"".join(LENGTH.pack(len(part)) for part in parts)
    return [LENGTH.pack(len(parts)), lengths, *parts]


def _receive_exactly(connection: socket.socket, size: int) -> bytearray:
    received = bytearray(size)
    view = memoryview(received)
    while view:
        count = connection.recv_into(view)
        if count == 0:
            raise EOFError
        view = view[count:]
    return received


def _receive(connection: socket.socket) -> Any:
    (count,) = LENGTH.unpack(_receive_exactly(connection, LENGTH.size))
    lengths = [LENGTH.unpack(_receive_exactly(connection, LENGTH.size))[0] for _ in range(count)]
    body, *buffers = [_receive_exactly(connection, length) for length in lengths]
    return pickle.loads(body, buffers=buffers)  # noqa: S301 - from our own parent, which trusts itself


def _send(connection: socket.socket, kind: Kind, *content: object) -> None:
    for part in pack((kind, *content)):
        connection.sendall(part)


# ---- the child ----------------------------------------------------------------------------------------------------


def _child(connection: socket.socket, settings: Settings, zygote: int) -> NoReturn:
    code = 1
    try:
        _die_with(zygote)
        _limit(settings)
        function, args, kwargs, wants_progress = _receive(connection)
        if wants_progress:
            kwargs = {**kwargs, "progress": _reporter(connection)}
        _answer(connection, function, args, kwargs)
        code = 0
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 1
    except (OSError, EOFError):
        pass  # the parent hung up: nobody is left to tell
    except BaseException as error:  # noqa: BLE001 - such as a module that can't be imported here
        with contextlib.suppress(OSError):
            _send_error(connection, error)
    finally:
        os._exit(code)


def _answer(
    connection: socket.socket, function: Callable[..., object], args: tuple[object, ...], kwargs: dict[str, object]
) -> None:
    try:
        result = function(*args, **kwargs)
    except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets it
        _send_error(connection, error)
    else:
        _send(connection, "result", result)


def _send_error(connection: socket.socket, error: BaseException) -> None:
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, MemoryError) or _is_opencv_out_of_memory(error):
        _send(connection, "memory", text)
        return
    error.add_note("In a child process:\n" + "".join(traceback.format_exception(error)))
    pickled = None
    with contextlib.suppress(Exception):  # not everything can be pickled; the text stands in for it
        pickled = pickle.dumps(error)
    _send(connection, "raised", text, pickled)


def _is_opencv_out_of_memory(error: BaseException) -> bool:
    return type(error).__module__ == "cv2" and getattr(error, "code", None) == -4


def _reporter(connection: socket.socket) -> Callable[[str, float], None]:
    last_stage, last_at = "", 0.0

    def report(stage: str, fraction: float) -> None:
        nonlocal last_stage, last_at
        now = time.monotonic()
        if stage == last_stage and now - last_at < PROGRESS_INTERVAL_S:
            return
        last_stage, last_at = stage, now
        _send(connection, "progress", stage, float(fraction))

    return report


def _die_with(zygote: int) -> None:
    if sys.platform == "linux":
        _C_LIBRARY.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != zygote:  # it died before the kernel knew
        os._exit(1)


def _limit(settings: Settings) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (settings.file_bytes, settings.file_bytes))
    resource.setrlimit(resource.RLIMIT_NOFILE, (MAX_OPEN_FILES, MAX_OPEN_FILES))
    if sys.platform == "linux":  # others don't keep these two
        address = _address_space_bytes() + settings.memory_bytes + ADDRESS_SLACK_BYTES
        resource.setrlimit(resource.RLIMIT_DATA, (settings.memory_bytes, settings.memory_bytes))
        resource.setrlimit(resource.RLIMIT_AS, (address, address))
    if (opencv := sys.modules.get("cv2")) is not None:
        opencv.setNumThreads(settings.threads)


def _address_space_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    return pages * resource.getpagesize()


# ---- the zygote ---------------------------------------------------------------------------------------------------


class Zygote:
    """Forks, kills and buries children as told."""

    def __init__(self, commands: socket.socket, events: socket.socket, settings: Settings) -> None:
        self._commands = commands
        self._events = events
        self._settings = settings
        self._call_of: dict[int, int] = {}  # process id: number of the call
        self._woken, self._wake = os.pipe()
        for end in (self._woken, self._wake):
            os.set_blocking(end, False)

    def serve(self) -> None:
        """Work until the parent hangs up."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        while True:
            readable, _, _ = select.select([self._commands.fileno(), self._woken], [], [])
            if self._woken in readable:
                os.read(self._woken, 4096)
                self._bury()
            if self._commands.fileno() in readable and not self._obey():
                break
        for process in self._call_of:
            os.kill(process, signal.SIGKILL)

    def _obey(self) -> bool:
        command, descriptors, _, _ = socket.recv_fds(self._commands, COMMAND.size, 1)
        if not command:
            return False
        if len(command) < COMMAND.size:
            command += bytes(_receive_exactly(self._commands, COMMAND.size - len(command)))
        kind, call = COMMAND.unpack(command)
        if kind == FORK:
            with socket.socket(fileno=descriptors[0]) as connection:
                self._fork(call, connection)
        else:
            for process in [process for process, theirs in self._call_of.items() if theirs == call]:
                os.kill(process, signal.SIGKILL)  # ours and not yet buried, so the number can't be another's
        return True

    def _fork(self, call: int, connection: socket.socket) -> None:
        zygote = os.getpid()
        try:
            process = os.fork()
        except OSError:
            self._events.sendall(EVENT.pack(call, FORK_FAILED))
            return
        if process == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for end in (self._woken, self._wake, self._commands.detach(), self._events.detach()):
                os.close(end)
            _child(connection, self._settings, zygote)
        self._call_of[process] = call

    def _bury(self) -> None:
        while self._call_of:
            process, status = os.waitpid(-1, os.WNOHANG)
            if process == 0:
                return
            call = self._call_of.pop(process)
            self._events.sendall(EVENT.pack(call, os.waitstatus_to_exitcode(status)))


def _preload(modules: Sequence[str]) -> None:
    for module in modules:
        with contextlib.suppress(ImportError):  # what is really needed and missing is told by the call that needs it
            importlib.import_module(module)
    gc.collect()
    gc.freeze()  # keep the collector from touching, and so copying, pages that children share


def main() -> None:
    """Serve one parent: `python -m penstock.kit.zygote COMMANDS EVENTS`, both numbers of inherited sockets."""
    for ignored in (signal.SIGINT, signal.SIGTERM):  # the parent drains and then hangs up
        signal.signal(ignored, signal.SIG_IGN)
    os.nice(NICENESS)
    commands, events = (socket.socket(fileno=int(number)) for number in sys.argv[1:3])
    for mine in (commands, events):
        mine.set_inheritable(False)
    # The class is pickled under its real module name, not as `__main__`.
    settings: Settings = _receive(commands)
    sys.path[:] = settings.path
    _preload(settings.preload)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        events.sendall(EVENT.pack(READY, 0))
        Zygote(commands, events, settings).serve()


if __name__ == "__main__":
    main()
