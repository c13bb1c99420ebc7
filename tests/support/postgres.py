"""A real PostgreSQL server for the tests: one for all of them, in a folder of its own, with a database for each test.

A test that wants to stop or kill a server starts its own (`Server`). A database is a copy of a template that holds
every table, which takes some hundredths of a second.
"""

import asyncio
import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import pytest
from sqlalchemy import create_mock_engine
from sqlalchemy.dialects import postgresql

import penstock.app.tables
from penstock.app.migrate import newest
from penstock.kit.database import metadata
from tests.support.ports import free_port

USER = "penstock"
TEMPLATE = "template_of_tests"
START_LIMIT_S = 60.0
STOP_LIMIT_S = 30.0

# Nothing of a test's database has to survive the test.
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
SMALL = {"max_connections": "120", "shared_buffers": "32MB", "autovacuum": "off"}

T = TypeVar("T")
_databases = itertools.count(1)

assert penstock.app.tables.metadata is metadata, "importing every table is what fills the metadata"


def binaries() -> Path:
    """Return where the server's programs are; skips the test where there are none, but fails it in CI."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if not found and (known := shutil.which("postgres")) is not None:
        found = [Path(known)]
    if not found:
        advice = "there is no PostgreSQL server here: .ci/install postgresql"
        if os.environ.get("CI"):
            pytest.fail(advice)
        pytest.skip(advice)
    return found[-1].parent


class Server:
    """A PostgreSQL server on a free loopback port.

    Args:
        folder: gets its files; must not exist.
        settings: of the server, beside those that make it small.
    """

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.settings = SMALL | settings
        self.port = free_port()
        self._bin = binaries()
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, database: str = "postgres", user: str = USER) -> str:
        """Return the address of a database here."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    @property
    def pid(self) -> int:
        """The process id of the running server; all of its processes are children of that one."""
        assert self._process is not None, "the server does not run"
        return self._process.pid

    def make(self) -> None:
        """Make the server's files."""
        self.folder.mkdir(parents=True)
        if os.geteuid() == 0:
            account = pwd.getpwnam("postgres")
            os.chown(self.folder, account.pw_uid, account.pw_gid)
        arguments = ["-D", str(self.folder / "data"), "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C", "-N"]
        self._run([str(self._bin / "initdb"), *arguments])

    def start(self) -> None:
        """Start it and wait until it takes connections. Errors: AssertionError, with what it said."""
        options = {"port": str(self.port), "listen_addresses": "127.0.0.1", "unix_socket_directories": ""}
        chosen = [f"-c{name}={value}" for name, value in (options | self.settings).items()]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._bin / "postgres"), "-D", str(self.folder / "data"), *chosen],
                stdout=log,
                stderr=log,
                **_as_postgres(),
            )
        limit = time.monotonic() + START_LIMIT_S
        while not run(_answers(self.url())):
            said = (self.folder / "log").read_text()
            assert self._process.poll() is None, f"PostgreSQL did not start:\n{said}"
            assert time.monotonic() < limit, f"PostgreSQL does not answer:\n{said}"

    def stop(self, how: str = "fast") -> None:
        """Stop it: `fast` ends connections, `immediate` is a crash."""
        process, self._process = self._process, None
        if process is not None:
            self._run([str(self._bin / "pg_ctl"), "stop", "-D", str(self.folder / "data"), "-m", how, "-s"])
            process.wait(STOP_LIMIT_S)

    def _run(self, command: list[str]) -> None:
        done = subprocess.run(command, capture_output=True, check=False, text=True, cwd="/", **_as_postgres())
        assert done.returncode == 0, f"{command[0]} failed: {done.stderr}{done.stdout}"

    def make_template(self) -> None:
        """Make the database with every table that tests get copies of."""
        run(self._ask("postgres", f'CREATE DATABASE "{TEMPLATE}"'))
        run(self._ask(TEMPLATE, tables()))

    def make_database(self, template: str = TEMPLATE) -> str:
        """Make a database of its own for a test and return its address."""
        name = f"test_{next(_databases)}"
        run(self._ask("postgres", f'CREATE DATABASE "{name}" TEMPLATE "{template}"'))
        return self.url(name)

    def drop(self, url: str) -> None:
        """Drop a test's database, whoever still uses it."""
        run(self._ask("postgres", f'DROP DATABASE IF EXISTS "{url.rpartition("/")[2]}" WITH (FORCE)'))

    async def _ask(self, database: str, sql: str) -> None:
        connection = await asyncpg.connect(self.url(database))
        try:
            await connection.execute(sql)
        finally:
            await connection.close()


@cache
def tables() -> str:
    """Return the statements that make every table, without migrations, and say that they have the newest shape."""
    statements: list[str] = [
        "CREATE TABLE alembic_version (version_num VARCHAR(32) PRIMARY KEY)",
        f"INSERT INTO alembic_version VALUES ('{newest()}')",
    ]
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]

    def write(sql: Any, *_: Any, **__: Any) -> None:
        statements.append(str(sql.compile(dialect=dialect)))

    engine = create_mock_engine("postgresql+asyncpg://", executor=write)
    metadata.create_all(engine, checkfirst=False)
    return ";\n".join(statements)


@contextmanager
def server(**settings: str) -> Iterator[Server]:
    """Yield a running server with the template, and take it away."""
    folder = Path(tempfile.mkdtemp(prefix="penstock-postgres-"))
    folder.chmod(0o755)
    started = Server(folder / "server", **(FAST | settings))
    try:
        started.make()
        started.start()
        started.make_template()
        yield started
    finally:
        started.stop("immediate")
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def database(on: Server) -> Iterator[str]:
    """Yield the address of a fresh database."""
    url = on.make_database()
    try:
        yield url
    finally:
        on.drop(url)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Do something asynchronous from a fixture, whatever event loop the test itself runs on."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


async def _answers(url: str) -> bool:
    try:
        connection = await asyncpg.connect(url, timeout=2)
    except (OSError, asyncpg.PostgresError):
        await asyncio.sleep(0.02)
        return False
    await connection.close()
    return True


def _as_postgres() -> dict[str, Any]:
    """Return what starts a process as the user `postgres`: the server refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    account = pwd.getpwnam("postgres")
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
