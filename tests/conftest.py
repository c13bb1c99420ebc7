"""Settings of all tests."""

import os
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, settings

from tests.support import postgres, redis, s3
from tests.support.sandbox import PostgresSandbox, Sandbox

# No test is timed: how long an example takes says something about the machine, not about the code.
_UNTIMED = settings(
    deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture], database=None
)
settings.register_profile("default", _UNTIMED, max_examples=60, derandomize=True)
settings.register_profile("long", _UNTIMED, max_examples=2_000)
settings.load_profile(os.environ.get("PENSTOCK_HYPOTHESIS", "default"))
if "PENSTOCK_EXAMPLES" in os.environ:  # for a long look at one property
    settings.register_profile("named", _UNTIMED, max_examples=int(os.environ["PENSTOCK_EXAMPLES"]))
    settings.load_profile("named")

# Plain lines: the drawings that structlog makes of a traceback take seconds each.
structlog.configure(processors=[structlog.processors.format_exc_info, structlog.processors.KeyValueRenderer()])


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.Server]:
    """A PostgreSQL server for all tests that need no server of their own."""
    with postgres.server() as started:
        yield started


@pytest.fixture
def postgres_url(postgres_server: postgres.Server) -> Iterator[str]:
    """The address of a PostgreSQL database with every table, empty."""
    with postgres.database(postgres_server) as url:
        yield url


@pytest.fixture(scope="session")
def s3_server() -> Iterator[s3.Server]:
    """An S3 server for all tests."""
    with s3.server() as started:
        yield started


@pytest.fixture
def bucket(s3_server: s3.Server) -> s3.TestBucket:
    """An empty bucket."""
    return s3.new_bucket(s3_server)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str | None:
    """The address of the test's PostgreSQL database, or None for SQLite: a test that asks for it runs on both."""
    url: str | None = None if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def box(database_url: str | None) -> Iterator[Sandbox]:
    """A database with every table, empty, on which units run one after another."""
    with Sandbox() if database_url is None else PostgresSandbox(database_url) as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def redis_server() -> Iterator[redis.Server]:
    """A Redis server for all tests that need no server of their own."""
    with redis.server() as started:
        yield started


@pytest.fixture
def redis_url(redis_server: redis.Server) -> str:
    """The address of an empty Redis server."""
    redis_server.empty()
    return redis_server.url
