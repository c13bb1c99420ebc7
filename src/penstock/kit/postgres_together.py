"""Units of work of several owners in one transaction, step by step together.

Most of a unit's time goes into travelling: a statement there and its answer back, a dozen times, and a commit that
waits for the disk. Units that come while others are under way therefore share the next transaction. Each runs until it
asks the server something; what several ask in the same words goes there at once (`Sets`); and one commit pays
for all of them (group commit; Helland et al., "Group Commit Timers and High Volume Transaction Systems", 1987).

    join -> waiting -> group (one unit of each owner) -> ask, answer, ask, answer … -> commit

Units of one group share their locks, so no two of one owner are ever in one. A unit that raises must leave nothing:
its group is undone, it runs alone, and the others run once more without it. Where the answer to a commit is lost, all
of it may stand: nothing runs again, and each caller is told.
"""

import asyncio
import contextvars
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, NamedTuple

import asyncpg
from greenlet import GreenletExit, getcurrent, greenlet

from penstock.kit.database import DatabaseUnavailableError, Row, Transaction
from penstock.kit.postgres_sets import LOCK_NAME, Sets
from penstock.kit.postgres_transaction import PostgresTransaction

GROUPS = 2  # under way at one time: while one waits for the disk, the other asks
GROUP_UNITS = 32  # bounds how long the first of them waits for the last
LOCK_WAIT = "250ms"  # for somebody else's lock; then all go on alone, and only its owner waits on

# A unit goes by keys. A plan is kept for as long as a connection, so none may read whole tables because they were
# small, or not yet counted, when it was made.
_BY_KEYS = "; ".join(f"SET LOCAL enable_{way} = off" for way in ("hashjoin", "mergejoin", "seqscan"))
BEGIN = f"BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL lock_timeout = '{LOCK_WAIT}'; {_BY_KEYS}"

Call = Callable[[Transaction], Any]
Kind = Literal["run", "many", "fetch"]


class Done(NamedTuple):
    """What came of a unit: its result, and what to call after the commit."""

    result: Any
    calls: list[Callable[[], None]]


class SpoiledError(Exception):
    """Units of a group raised; `errors` by their place in it. Nothing of the group may stay."""

    def __init__(self, errors: dict[int, BaseException]) -> None:
        super().__init__(f"{len(errors)} units raised")
        self.errors = errors


class CommitLostError(DatabaseUnavailableError):
    """A commit was asked for and no answer came: perhaps it is done, so only a unit that knows may run again."""


Once = Callable[[Callable[["asyncpg.Connection"], Awaitable[list[Done]]]], Awaitable[list[Done]]]


@dataclass(eq=False)
class _Seat:
    owner: str
    call: Call
    future: "asyncio.Future[Any]"
    context: contextvars.Context = field(default_factory=contextvars.copy_context)


class Together:
    """Seats units in groups.

    Args:
        alone: runs one unit in a transaction of its own, until it has won every race.
        once: runs work in one transaction and commits.
        tell: makes the calls after a commit.
    """

    def __init__(
        self,
        alone: Callable[[Call], Awaitable[Any]],
        once: Once,
        now: Callable[[], float],
        tell: Callable[[list[Callable[[], None]]], None],
        sets: Sets,
    ) -> None:
        """Seat nobody yet."""
        self._alone, self._once, self._now, self._tell, self._sets = alone, once, now, tell, sets
        self._waiting: deque[_Seat] = deque()
        self._owners: set[str] = set()
        self._groups: set[asyncio.Task[None]] = set()

    async def join(self, owner: str, call: Call) -> Any:
        """Run a unit that locks and changes only what is its owner's. Errors: what it raised; the database's own."""
        seat = _Seat(owner, call, asyncio.get_running_loop().create_future())
        self._waiting.append(seat)
        self._begin()
        return await seat.future

    def _begin(self) -> None:
        while len(self._groups) < GROUPS and (group := self._next()):
            self._owners |= {seat.owner for seat in group}
            task = asyncio.create_task(self._settle(group))
            self._groups.add(task)

    def _next(self) -> list[_Seat]:
        """Take the next group: the first waiting unit of each owner who has none under way."""
        group: dict[str, _Seat] = {}
        left: deque[_Seat] = deque()
        while self._waiting and len(group) < GROUP_UNITS:
            seat = self._waiting.popleft()
            if seat.owner in self._owners or seat.owner in group:
                left.append(seat)
            else:
                group[seat.owner] = seat
        self._waiting.extendleft(reversed(left))
        return [group[owner] for owner in sorted(group)]  # one order of locks

    async def _settle(self, group: list[_Seat]) -> None:
        try:
            await self._run(group)
        finally:
            self._owners -= {seat.owner for seat in group}
            task = asyncio.current_task()
            assert task is not None
            self._groups.discard(task)
            self._begin()

    async def _run(self, group: list[_Seat]) -> None:
        """Bring every unit of a group to its end, together as far as that goes."""
        while len(group) > 1:
            try:
                done = await self._once(partial(together, now=self._now(), sets=self._sets, group=group))
            except SpoiledError as error:
                await self._each([group[place] for place in error.errors])
                group = [seat for place, seat in enumerate(group) if place not in error.errors]
            except CommitLostError as error:
                for seat in group:
                    _refuse(seat, error)
                return
            except Exception:  # noqa: BLE001 - whose fault it is shows when each runs alone
                break
            else:
                for seat, (result, calls) in zip(group, done, strict=True):
                    seat.context.run(self._tell, calls)
                    _answer(seat, result)
                return
        await self._each(group)

    async def _each(self, group: Sequence[_Seat]) -> None:
        tasks = [asyncio.create_task(self._by_itself(seat), context=seat.context) for seat in group]
        if tasks:
            await asyncio.wait(tasks)

    async def _by_itself(self, seat: _Seat) -> None:
        try:
            result = await self._alone(seat.call)
        except BaseException as error:  # noqa: BLE001 - the unit's caller is told
            _refuse(seat, error)
        else:
            _answer(seat, result)


def _answer(seat: _Seat, result: Any) -> None:
    if not seat.future.done():
        seat.future.set_result(result)


def _refuse(seat: _Seat, error: BaseException) -> None:
    if not seat.future.done():
        seat.future.set_exception(error)


class _Ask(NamedTuple):
    kind: Kind
    sql: str
    values: Sequence[Any]


class _SharedTransaction(PostgresTransaction):
    """What a unit of a group speaks with: a statement hands over to the group and comes back with the answer."""

    def _execute(self, sql: str, values: Sequence[Any]) -> int:
        answer: int = _hand_over(_Ask("run", sql, values))
        return answer

    def _execute_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        _hand_over(_Ask("many", sql, rows))

    def _fetch(self, sql: str, values: Sequence[Any]) -> list[Row]:
        answer: list[Row] = _hand_over(_Ask("fetch", sql, values))
        return answer


def _hand_over(ask: _Ask) -> Any:
    return getcurrent().parent.switch(ask)


class _Member:
    """A unit under way. `ask` is what it waits for; None once it has ended."""

    def __init__(self, place: int, seat: _Seat, now: float) -> None:
        self.place = place
        self.transaction = _SharedTransaction(now)
        self.result: Any = None
        self.error: BaseException | None = None
        self.ask: _Ask | None = None
        self._call = seat.call
        self._greenlet = greenlet(self._live)
        self._greenlet.gr_context = seat.context

    def go(self, answer: Any = None) -> None:
        """Let it run until it asks something or ends."""
        ask = self._greenlet.switch(answer) if self._greenlet else self._greenlet.switch()
        self.ask = ask if isinstance(ask, _Ask) else None

    def drop(self) -> None:
        """End it where it stands."""
        if self._greenlet:
            self._greenlet.throw(GreenletExit)

    def _live(self) -> None:
        try:
            self.result = self._call(self.transaction)
        except Exception as error:  # noqa: BLE001 - its caller is told
            self.error = error


async def together(connection: "asyncpg.Connection", *, now: float, sets: Sets, group: Sequence[_Seat]) -> list[Done]:
    """Run the units of a group on an open transaction. Errors: SpoiledError; asyncpg's own."""
    members = [_Member(place, seat, now) for place, seat in enumerate(group)]
    try:
        for member in members:
            member.go()
        while asking := [member for member in members if member.ask is not None]:
            if errors := _errors(members):
                raise SpoiledError(errors)
            for batch in _batches(asking):
                for member, answer in zip(batch, await _asked(connection, sets, batch), strict=True):
                    member.go(answer)
        if errors := _errors(members):
            raise SpoiledError(errors)
        return [Done(member.result, member.transaction.committed()) for member in members]
    finally:
        for member in members:
            member.drop()


def _errors(members: Iterable[_Member]) -> dict[int, BaseException]:
    return {member.place: member.error for member in members if member.error is not None}


def _batches(asking: Sequence[_Member]) -> list[list[_Member]]:
    """Sort those who ask by their words; names (`alone`) wait until nobody asks for anything else: rows come first."""
    found: dict[tuple[Kind, str], list[_Member]] = {}
    for member in asking:
        assert member.ask is not None
        found.setdefault((member.ask.kind, member.ask.sql), []).append(member)
    others = [batch for (_, sql), batch in found.items() if LOCK_NAME not in sql]
    return others or list(found.values())


async def _asked(connection: "asyncpg.Connection", sets: Sets, batch: Sequence[_Member]) -> Sequence[Any]:
    """Ask what a batch of members asks in the same words; returns an answer for each."""
    asks = [member.ask for member in batch if member.ask is not None]
    kind, sql, _ = asks[0]
    if kind == "many":
        await sets.many(connection, sql, [row for ask in asks for row in ask.values])
        return [None] * len(asks)
    return await sets.each(connection, kind, sql, [ask.values for ask in asks])
