"""A server with many live connections: `serve` is the server, `listen` the clients, each a process of its own.

The server tells every account something at a steady pace, through the same unit of work as a job's events. Clients
compare the moment at which it was written with the one at which they heard of it (all processes of a machine share the
monotonic clock), and that each heard everything, once and in order.
"""

import argparse
import asyncio
import json
import logging
import statistics
import subprocess
import sys
import time
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import structlog
import uvloop
from tests.support.flows import order
from tests.support.servers import API, PASSWORD, Running, listening, running
from websockets.asyncio.client import ClientConnection, connect

from benchmarks.engines.report import hand_in
from penstock.accounts.clients import Client
from penstock.app import server
from penstock.jobs.submit import submit
from penstock.kit.database import Transaction

SOCKETS_EACH = 4  # of one account: a customer's tabs and phone
EVENTS_EACH = 10  # that every account is told
PAUSE_S = 0.002  # between two accounts
OPENING = 50  # connections that are opened at one time
MAX_S = 60.0
NETWORK = 0xCB00_7100  # 203.0.113.0, of which each customer has one address: too many accounts from one are refused


class LostEventError(Exception):
    """A client did not hear what it should have."""


async def serve(folder: Path, accounts: int) -> None:
    """Serve until the standard input ends; a line there starts the telling."""
    async with running(folder, works=False) as run, listening(run) as reached:
        told = [await _job_of(reached, number) for number in range(accounts)]
        print(json.dumps({"url": reached.url, "tokens": [token for token, _, _ in told]}), flush=True)
        while await asyncio.to_thread(sys.stdin.readline):
            for number in range(EVENTS_EACH):
                for _, account_id, job_id in told:
                    await run.services.database.write(_tell, run, account_id, job_id, number)
                    await asyncio.sleep(PAUSE_S)


def address_of(number: int) -> str:
    """Return the address from which a customer comes."""
    return str(ip_address(NETWORK + number))


async def _job_of(run: Running, number: int) -> tuple[str, str, str]:
    """Return the token of a new customer, the customer, and a job of theirs."""
    home = Client(address_of(number), "benchmark")
    signed_in = await run.services.accounts.register(f"customer{number}@example.org", PASSWORD, home)
    account_id = signed_in.account.id
    wanted = order(run.services.flow, account_id, plan="free", key=str(number))
    return signed_in.access_token, account_id, (await submit(run.services.flow, wanted)).job_id


def _tell(tx: Transaction, run: Running, account_id: str, job_id: str, number: int) -> None:
    content = {"number": number, "sent": time.monotonic()}
    run.services.flow.hub.emit(tx, account_id, job_id, "job.progress", content)


async def listen(folder: Path, sockets: int) -> dict[str, float]:
    """Open connections to a server of our own, and measure. Errors: LostEventError."""
    accounts = sockets // SOCKETS_EACH
    command = ["serve", "--accounts", str(accounts), "--folder", str(folder)]
    child = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.engines.sockets", *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        told = json.loads(await asyncio.to_thread(child.stdout.readline))
        before, started = _memory_kib(child.pid), time.perf_counter()
        open_ones = await opened(told["url"], [token for token in told["tokens"] for _ in range(SOCKETS_EACH)])
        took, after = time.perf_counter() - started, _memory_kib(child.pid)
        child.stdin.write(b"tell\n")
        child.stdin.flush()
        async with asyncio.timeout(MAX_S):
            waits = await asyncio.gather(*(_heard(each) for each in open_ones))
        for each in open_ones:
            each.transport.abort()
    finally:
        child.stdin.close()
        child.kill()
        child.wait()
        child.stdout.close()
    all_ms = [wait * 1e3 for each in waits for wait in each]
    return {
        "p50": statistics.median(all_ms),
        "p95": statistics.quantiles(all_ms, n=20)[-1],
        "kib_each": (after - before) / len(open_ones),
        "opened_s": took,
    }


async def opened(url: str, tokens: list[str]) -> list[ClientConnection]:
    """Return a live connection for each token, which hears of all jobs of its customer."""
    turns = asyncio.Semaphore(OPENING)

    async def one(token: str) -> ClientConnection:
        async with turns:
            socket = await connect(f"{url.replace('http:', 'ws:')}{API}/live", compression=None, ping_interval=None)
            await socket.send(json.dumps({"type": "hello", "token": token}))
            await socket.send(json.dumps({"type": "subscribe"}))
            while json.loads(await socket.recv())["type"] != "subscribed":
                pass
            return socket

    return await asyncio.gather(*(one(token) for token in tokens))


async def _heard(socket: ClientConnection) -> list[float]:
    """Return the seconds from writing to hearing of every event."""
    waits: list[float] = []
    while len(waits) < EVENTS_EACH:
        message: dict[str, Any] = json.loads(await socket.recv())
        if message["type"] != "job.progress":
            continue
        if message["data"]["number"] != len(waits):
            raise LostEventError(f"{message['data']['number']} came instead of {len(waits)}")
        waits.append(time.monotonic() - message["data"]["sent"])
    return waits


def _memory_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def main() -> None:
    """Measure and print; see `benchmarks.engines.report`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("serve", "listen"))
    parser.add_argument("--accounts", type=int, default=0)
    parser.add_argument("--sockets", type=int, default=0)
    parser.add_argument("--folder", type=Path, required=True)
    chosen = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    server.allow_many_connections()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        if chosen.what == "serve":
            runner.run(serve(chosen.folder, chosen.accounts))
        else:
            hand_in(runner.run(listen(chosen.folder, chosen.sockets)))


if __name__ == "__main__":
    main()
