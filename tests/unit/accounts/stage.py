"""A small app around the accounts' router, with a clock that the test owns, and what a test needs to watch it."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import httpx2
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy import create_engine
from sqlalchemy.pool import StaticPool
from starlette.websockets import WebSocket

from penstock.accounts import AccountSettings, AccountsService, models
from penstock.accounts.cookies import SetCookies
from penstock.accounts.endpoints import router
from penstock.accounts.passwords import Passwords
from penstock.admission.limiter import InProcessRateLimiter
from penstock.admission.sign_in import SignInGuard
from penstock.kit.caller import Caller, MaybeCaller, RequiredCaller
from penstock.kit.clock import ManualClock
from penstock.kit.database import Database, Transaction
from penstock.kit.errors import Problem
from penstock.kit.sqlite import SqliteDatabase

SECRET = "a secret of the test server, long enough"
EMAIL = "ann@example.org"
PASSWORD = "correct horse battery"
HTTP = "http://localhost:8000"
HTTPS = "https://penstock.test"
OWN_PAGE = {"sec-fetch-site": "same-origin"}
OTHER_PAGE = {"sec-fetch-site": "cross-site", "origin": "https://evil.test"}

T = TypeVar("T")


def cheap_hash(time_cost: int = 1) -> PasswordHash:
    """Return argon2id that takes a moment instead of a fifth of a second."""
    return PasswordHash((Argon2Hasher(time_cost=time_cost, memory_cost=8, parallelism=1),))


class CountingDatabase:
    """A database that counts how often it is asked."""

    def __init__(self, inner: SqliteDatabase) -> None:
        self._inner = inner
        self.reads = 0
        self.writes = 0

    async def write(self, unit: Any, /, *args: Any, **kwargs: Any) -> Any:
        self.writes += 1
        return await self._inner.write(unit, *args, **kwargs)

    async def write_for(self, owner: str, unit: Any, /, *args: Any, **kwargs: Any) -> Any:
        return await self.write(unit, *args, **kwargs)

    async def read(self, unit: Any, /, *args: Any, **kwargs: Any) -> Any:
        self.reads += 1
        return await self._inner.read(unit, *args, **kwargs)

    async def close(self) -> None:
        await self._inner.close()


@dataclass
class Stage:
    """Everything a test touches."""

    app: FastAPI
    accounts: AccountsService
    database: CountingDatabase
    clock: ManualClock
    created: list[tuple[str, str]]

    @asynccontextmanager
    async def client(
        self, base_url: str = HTTP, *, address: str = "203.0.113.7", **options: Any
    ) -> AsyncIterator[httpx2.AsyncClient]:
        transport = httpx2.ASGITransport(self.app, client=(address, 4711))
        async with httpx2.AsyncClient(transport=transport, base_url=base_url, **options) as client:
            yield client

    async def value(self, sql: str, **parameters: Any) -> Any:
        return await self.database.read(lambda tx: tx.value(sql, **parameters))

    async def signed_up(self, email: str = EMAIL, password: str = PASSWORD) -> dict[str, Any]:
        async with self.client() as client:
            answer = await client.post("/api/v1/auth/register", json={"email": email, "password": password})
        assert answer.status_code == 201, answer.text
        body: dict[str, Any] = answer.json()
        return body


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def problem_of(answer: httpx2.Response) -> tuple[int, str]:
    """Return status and code of a refusal."""
    return answer.status_code, answer.json()["code"]


@cache
def _empty_database() -> bytes:
    """Return a SQLite file with every table and no row."""
    engine = create_engine("sqlite://", poolclass=StaticPool)
    models.accounts.metadata.create_all(engine)
    with engine.connect() as connection:
        raw = connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        content = raw.serialize()
    engine.dispose()
    return content


@asynccontextmanager
async def stage(
    folder: Path, *, anonymous: bool = False, origins: frozenset[str] = frozenset()
) -> AsyncIterator[Stage]:
    """Set up an app on a fresh database in `folder`."""
    path = folder / "penstock.db"
    path.write_bytes(_empty_database())
    clock = ManualClock()
    database = CountingDatabase(SqliteDatabase(path, clock=clock, durability="normal"))
    created: list[tuple[str, str]] = []
    accounts = service(database, clock, anonymous=anonymous, origins=origins, created=created)
    made = Stage(FastAPI(), accounts, database, clock, created)
    _wire(made.app, made.accounts)
    try:
        yield made
    finally:
        await database.close()


def service(
    database: Database,
    clock: ManualClock,
    *,
    anonymous: bool = False,
    origins: frozenset[str] = frozenset(),
    created: list[tuple[str, str]] | None = None,
    hasher: PasswordHash | None = None,
) -> AccountsService:
    def note(tx: Transaction, account_id: str, plan: str) -> None:
        assert tx.value("SELECT count(*) FROM accounts WHERE id = :id", id=account_id) == 1
        if created is not None:
            created.append((account_id, plan))

    return AccountsService(
        database,
        clock,
        AccountSettings(SECRET, "penstock/test", "free", anonymous=anonymous, origins=origins),
        SignInGuard(clock, InProcessRateLimiter(clock)),
        on_account_created=note,
        passwords=Passwords(hasher or cheap_hash()),
    )


def _wire(app: FastAPI, accounts: AccountsService) -> None:
    app.state.accounts = accounts
    app.state.identify = accounts.identify
    app.state.welcome = accounts.welcome
    app.include_router(router, prefix="/api/v1")
    app.add_middleware(SetCookies)
    app.add_exception_handler(Problem, _answer)
    app.add_exception_handler(RequestValidationError, _invalid)

    @app.get("/things")
    @app.post("/things")
    async def things(caller: RequiredCaller) -> dict[str, Any]:
        return _shown(caller)

    @app.post("/raw")
    async def raw(caller: RequiredCaller) -> JSONResponse:
        return JSONResponse(_shown(caller), status_code=202)

    @app.post("/fails")
    async def fails(caller: RequiredCaller) -> None:
        raise Problem("too_large", f"too large, {caller.account_id}")

    @app.get("/open")
    async def open_to_all(caller: MaybeCaller) -> dict[str, Any] | None:
        return None if caller is None else _shown(caller)

    @app.websocket("/live")
    async def live(websocket: WebSocket) -> None:
        await websocket.accept()
        try:
            caller = await accounts.identify(websocket)
            token = (await websocket.receive_json()).get("token")
            if token is not None:
                caller = await accounts.identify_token(token)
            await websocket.send_json(None if caller is None else _shown(caller))
        except Problem as problem:
            await websocket.send_json({"code": problem.code})
        await websocket.close()


def _shown(caller: Caller) -> dict[str, Any]:
    return {**caller.__dict__, "scopes": sorted(caller.scopes)}


async def _answer(_: Request, problem: Exception) -> JSONResponse:
    assert isinstance(problem, Problem)
    body = {
        "code": problem.code,
        "detail": problem.detail,
        "errors": [each.__dict__ for each in problem.errors],
        "actions": [each.kind for each in problem.actions],
        "retry_after_s": problem.retry_after_s,
    }
    return JSONResponse(body, status_code=problem.status)


async def _invalid(_: Request, __: Exception) -> JSONResponse:
    return JSONResponse({"code": "invalid_input"}, status_code=422)
