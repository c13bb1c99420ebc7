"""A media service on a database file and a folder, and an app around it that knows who calls.

The children are shared by all tests, because they take a moment to start; so these tests share one event loop, and
say so: `pytestmark = ONE_LOOP`.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from sqlalchemy import create_engine

from penstock.kit.caller import Caller
from penstock.kit.children import Children
from penstock.kit.clock import ManualClock
from penstock.kit.database import metadata
from penstock.kit.errors import Problem
from penstock.kit.sqlite import SqliteDatabase
from penstock.media import models
from penstock.media.direct import DirectUploads
from penstock.media.endpoints import router
from penstock.media.service import PRELOAD, MediaService
from penstock.media.storage import Storage
from penstock.product.schema import Uploads
from tests.support.s3 import TestBucket
from tests.unit.media.counter import BASE, Counter

ONE_LOOP = pytest.mark.asyncio(loop_scope="session")
MAX_MB = 2
SECRET = "a secret of the tests of files"
CHILDREN = 2


@dataclass
class Stage:
    """Everything a test of files needs."""

    database: SqliteDatabase
    storage: Storage
    clock: ManualClock
    media: MediaService
    folder: Path
    scratch: Path

    def stored(self) -> list[str]:
        """Every file on disk under the storage's folder, whatever its name."""
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file())


def make_tables(path: Path) -> None:
    """Create the tables of media in a database file."""
    engine = create_engine(f"sqlite:///{path}")
    metadata.create_all(engine, tables=[models.files, models.uploads, models.upload_slips, models.results])
    engine.dispose()


@pytest_asyncio.fixture(loop_scope="session")
async def database(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    make_tables(tmp_path / "penstock.db")
    opened = SqliteDatabase(tmp_path / "penstock.db", clock=ManualClock(), durability="normal")
    yield opened
    await opened.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def children() -> AsyncIterator[Children]:
    pool = Children(CHILDREN, preload=PRELOAD)
    yield pool
    await pool.close()


@pytest_asyncio.fixture(loop_scope="session")
async def stage(tmp_path: Path, database: SqliteDatabase, children: Children) -> Stage:
    clock = database.clock
    assert isinstance(clock, ManualClock)
    folder, scratch = tmp_path / "files", tmp_path / "scratch"
    storage = Storage.in_folder(folder)
    media = MediaService(database, storage, children, scratch, lambda: Uploads(max_mb=MAX_MB, keep_hours=24))
    return Stage(database, storage, clock, media, folder, scratch)


def make_app(media: MediaService, direct: DirectUploads | None = None) -> FastAPI:
    """Serve the endpoints; whoever is named in the header `X-Account` calls."""

    async def identify(request: Request) -> Caller | None:
        name = request.headers.get("x-account")
        return None if name is None else Caller(account_id=name, plan="free")

    async def tell(_: Request, problem: Exception) -> JSONResponse:
        assert isinstance(problem, Problem)
        body = {"code": problem.code, "detail": problem.detail}
        return JSONResponse(body, problem.status, media_type="application/problem+json")

    made = FastAPI()
    made.include_router(router, prefix="/api/v1")
    made.add_exception_handler(Problem, tell)
    made.state.media = media
    made.state.direct = direct or DirectUploads(media, SECRET)
    made.state.identify = identify
    return made


@pytest.fixture
def app(stage: Stage) -> FastAPI:
    """The endpoints around this test's service."""
    return make_app(stage.media)


@pytest_asyncio.fixture(loop_scope="session")
async def client(app: FastAPI) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app), base_url="http://test/api/v1", headers={"X-Account": "acc_ann"}
    ) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="session", params=["folder", "bucket"])
async def counter(stage: Stage, request: pytest.FixtureRequest) -> AsyncIterator[Counter]:
    stored: Callable[[], set[str]] = lambda: set(stage.stored())  # noqa: E731 - one of two
    clock = stage.clock
    if request.param == "bucket":
        bucket: TestBucket = request.getfixturevalue("bucket")
        clock = ManualClock(bucket.bucket().clock.now())  # by which the server judges
        stage.storage = stage.media.storage = Storage.in_bucket(bucket.bucket(clock=clock))
        stored = bucket.stored
    app = make_app(stage.media, DirectUploads(stage.media, SECRET))
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(
        transport=transport, base_url=f"{BASE}/api/v1", headers={"X-Account": "acc_ann"}
    ) as client:
        yield Counter(stage, client, stored, clock)
