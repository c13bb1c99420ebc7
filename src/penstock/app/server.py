"""The process around the application: listens, and stops in the right order when it is told to.

On SIGTERM or SIGINT health answers 503 while requests are still served; running jobs get the product's grace; live
connections are told to come back elsewhere; then the server stops. A second signal gives running jobs back at once.
"""

import asyncio
import contextlib
import resource
import signal
import socket
from collections.abc import Callable, Iterator

import structlog
import uvicorn
from fastapi import FastAPI

from penstock.app.services import Services
from penstock.kit.errors import Problem

BACKLOG = 2_048
KEEP_ALIVE_S = 30  # longer than the pauses of a proxy between two requests on one connection
FINISH_REQUESTS_S = 1  # for requests under way after the worker has stopped, if nothing is left of the grace
MAX_SOCKET_MESSAGE_BYTES = 65_536
MAX_OPEN_FILES = 65_536  # every connection is one
SIGNALS = (signal.SIGTERM, signal.SIGINT)

log = structlog.get_logger()


class Server(uvicorn.Server):
    """Uvicorn without its own handling of signals: it would stop listening before running jobs are done."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer requests, and say so."""
        await super().startup(sockets)
        self._announce()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


def allow_many_connections() -> None:
    """Raise this process's limit of open files as far as the system lets it: the usual 1,024 are too few to serve."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def listen(host: str, port: int) -> socket.socket:
    """Return a socket bound to `host` and `port`; 0 lets the system choose. Errors: Problem `unavailable`."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        made = socket.socket(family, socket.SOCK_STREAM)
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind(address)
            made.setblocking(False)  # noqa: FBT003 - the standard library's own signature
        except OSError:
            made.close()
            raise
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        detail = f"Can't listen on {host}, port {port}: {reason}. Choose another --port."
        raise Problem("unavailable", detail) from error
    return made


def address_of(listening: socket.socket) -> str:
    """Return the address at which a browser on this machine reaches a listening socket."""
    host, port = listening.getsockname()[:2]
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - compared, not bound
        host = "localhost"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def serve(app: FastAPI, services: Services, listening: socket.socket, started: Callable[[], None]) -> None:
    """Serve until a signal comes, then drain and stop. `started` is called once requests are answered."""
    server = Server(config_of(app), started)
    stop, hurry = _on_signals()
    warming = asyncio.create_task(services.warm())
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    for task in (stopping, warming):
        task.cancel()
    if not serving.done():
        await _stop(server, services, hurry)
    await serving
    log.info("server.stopped")


async def _stop(server: Server, services: Services, hurry: asyncio.Event) -> None:
    """Drain, then end connections: requests under way get what is left of the grace."""
    log.info("server.draining")
    clock = asyncio.get_running_loop().time
    deadline = clock() + services.product.workers.grace_s
    await services.drain(hurry)
    left_s = 0.0 if hurry.is_set() else deadline - clock()
    services.streams.closing.set()
    server.config.timeout_graceful_shutdown = max(FINISH_REQUESTS_S, int(left_s - FINISH_REQUESTS_S))
    server.should_exit = True


async def work(services: Services, started: Callable[[], None]) -> None:
    """Only run jobs until a signal comes, then drain."""
    stop, hurry = _on_signals()
    started()
    await stop.wait()
    log.info("worker.draining")
    await services.drain(hurry)


def config_of(app: FastAPI) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
        ws_max_size=MAX_SOCKET_MESSAGE_BYTES,
    )


def _on_signals() -> tuple[asyncio.Event, asyncio.Event]:
    """Return events for the first and for the second signal to stop."""
    stop, hurry = asyncio.Event(), asyncio.Event()

    def signalled() -> None:
        (hurry if stop.is_set() else stop).set()

    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, signalled)
    return stop, hurry
