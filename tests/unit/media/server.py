"""A server of the media endpoints in a process of its own: `python -m tests.unit.media.server FOLDER`.

Prints its port once it listens.
"""

import asyncio
import socket
import sys
from pathlib import Path

import uvicorn

from penstock.kit.children import Children
from penstock.kit.sqlite import SqliteDatabase
from penstock.media.service import PRELOAD, MediaService
from penstock.media.storage import Storage
from penstock.product.schema import Uploads
from tests.unit.media.conftest import make_app, make_tables


async def serve(folder: Path) -> None:
    """Serve until killed."""
    make_tables(folder / "penstock.db")
    database = SqliteDatabase(folder / "penstock.db", durability="normal")
    storage = Storage.in_folder(folder / "files")
    media = MediaService(database, storage, Children(1, preload=PRELOAD), folder / "scratch", Uploads)
    listening = socket.create_server(("127.0.0.1", 0))
    sys.stdout.write(f"{listening.getsockname()[1]}\n")
    sys.stdout.flush()
    await uvicorn.Server(uvicorn.Config(make_app(media), log_level="warning")).serve([listening])


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
