"""Uploads against a real server in a process of its own: memory stays flat, and who hangs up leaves nothing."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from tests.unit.media.pictures import coffee, encoded

ROOT = Path(__file__).parents[3]
FIFTY_MB = 50_000_000
GROWTH_BYTES = 24_000_000  # less than half an upload: it can't have been in memory whole
PIECE = 1 << 16
LONG_S = 60.0
PHOTO = encoded(coffee())


@dataclass(frozen=True)
class Server:
    address: str
    port: int
    process: int
    folder: Path

    def peak_bytes(self) -> int:
        """The most memory that the process ever had."""
        for line in Path(f"/proc/{self.process}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("this system does not tell peak memory")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    command = [sys.executable, "-m", "tests.unit.media.server", str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            port = int(process.stdout.readline())
            yield Server(f"http://127.0.0.1:{port}/api/v1", port, process.pid, tmp_path)
        finally:
            process.terminate()


async def pieces(head: bytes, size: int, tail: bytes = b"") -> AsyncIterator[bytes]:
    """`head`, zeros up to `size`, `tail`."""
    yield head
    left = size - len(head)
    while left > 0:
        yield bytes(min(PIECE, left))
        left -= PIECE
    yield tail


async def test_fifty_megabytes_pass_without_being_held_in_memory(server: Server) -> None:
    form_type = {"Content-Type": "multipart/form-data; boundary=x"}
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n' + PHOTO
    tail = b"\r\n--x--\r\n"
    async with httpx2.AsyncClient(headers={"X-Account": "acc_ann"}, timeout=LONG_S) as client:
        address = f"{server.address}/uploads"
        assert (await client.post(address, content=PHOTO)).status_code == 201  # warm
        assert (await client.post(address, content=head + tail, headers=form_type)).status_code == 201
        before = server.peak_bytes()
        raw = await client.post(address, content=pieces(PHOTO, FIFTY_MB))
        assert (raw.status_code, raw.json()["bytes"]) == (201, FIFTY_MB)
        extra = len(head) - len(PHOTO)
        form = await client.post(address, content=pieces(head, FIFTY_MB + extra, tail), headers=form_type)
        assert (form.status_code, form.json()["bytes"]) == (201, FIFTY_MB)
        assert form.json()["sha256"] == raw.json()["sha256"]
        over = await client.post(address, content=pieces(PHOTO, FIFTY_MB + 1_000_000))
        assert (over.status_code, over.json()["code"]) == (413, "too_large")
        assert server.peak_bytes() - before < GROWTH_BYTES
    assert not list((server.folder / "scratch").iterdir())


async def test_who_hangs_up_half_way_leaves_no_file(server: Server) -> None:
    scratch = server.folder / "scratch"
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    head = b"POST /api/v1/uploads HTTP/1.1\r\nHost: test\r\nX-Account: acc_ann\r\nContent-Type: image/jpeg\r\n"
    writer.write(head + b"Content-Length: 4000000\r\n\r\n" + bytes(2_000_000))
    await writer.drain()
    async with asyncio.timeout(LONG_S):
        while not any(path.stat().st_size for path in scratch.iterdir()):
            await asyncio.sleep(0.001)
        writer.close()
        while list(scratch.iterdir()):
            await asyncio.sleep(0.001)
    async with httpx2.AsyncClient(headers={"X-Account": "acc_ann"}, timeout=LONG_S) as client:
        assert (await client.post(f"{server.address}/uploads", content=PHOTO)).status_code == 201
