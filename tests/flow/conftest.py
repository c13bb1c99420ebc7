"""What all tests of the whole application share."""

from collections.abc import Iterator

import pytest
import structlog

from penstock.app import health
from tests.support import servers
from tests.support.flows import PATIENCE_S


@pytest.fixture(autouse=True, scope="module")
def _quiet_log() -> Iterator[None]:
    """Log nothing: what a test wants to know it asks for, and structlog's default is made for terminals."""
    before = structlog.get_config()
    structlog.configure(processors=[_drop], cache_logger_on_first_use=False)
    yield
    structlog.configure(**before)


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is, a database that answers is well."""
    monkeypatch.setattr(health, "DATABASE_S", PATIENCE_S)


def _drop(_: object, __: str, ___: object) -> dict[str, object]:
    raise structlog.DropEvent


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run every test of an application twice, embedded and at scale, unless it says that it is about one of them."""
    if "tmp_path" in metafunc.fixturenames and metafunc.definition.get_closest_marker("embedded") is None:
        metafunc.parametrize("mode", ["embedded", "scale"], indirect=True)


@pytest.fixture(autouse=True)
def mode(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What `servers.running` runs on: SQLite and one process by itself, or PostgreSQL and Redis."""
    chosen = str(getattr(request, "param", "embedded"))
    if chosen == "scale":
        shared = {"database_url": "postgres_url", "redis_url": "redis_url"}
        urls = {setting: request.getfixturevalue(fixture) for setting, fixture in shared.items()}
        monkeypatch.setattr(servers, "SHARED", urls)
    return chosen
