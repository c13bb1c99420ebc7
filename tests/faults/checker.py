"""What must hold of a database at any moment, even right after a kill, and what must hold once all has been mended.

Read with plain SQL on a plain connection: nothing of the engine that is under test is asked for its opinion.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from penstock.jobs.states import FINAL, TRANSITIONS
from penstock.ledger import queries as ledger
from tests.faults.world import ATTEMPTS, FUNDS, MAY_PAY_TWICE, NOT_BILLED, RUNNING

# Remembers every change of state, and how many jobs of that customer were running right after it.
WATCH = """
CREATE TABLE watched (
    n INTEGER PRIMARY KEY, job TEXT NOT NULL, account TEXT NOT NULL, before TEXT, after TEXT NOT NULL, running INTEGER);
CREATE TRIGGER watch_insert AFTER INSERT ON jobs BEGIN
    INSERT INTO watched (job, account, before, after) VALUES (NEW.id, NEW.account_id, NULL, NEW.state);
END;
CREATE TRIGGER watch_update AFTER UPDATE OF state ON jobs BEGIN
    INSERT INTO watched (job, account, before, after, running) VALUES (NEW.id, NEW.account_id, OLD.state, NEW.state,
        (SELECT COUNT(*) FROM jobs WHERE account_id = NEW.account_id AND state = 'running'));
END;
"""
_ENDED = "({})".format(", ".join(f"'{state}'" for state in sorted(FINAL)))
_UNEVEN_HOLDS = f"""
SELECT 'hold of ' || h.amount || ' without a job under way', h.job_id FROM holds h LEFT JOIN jobs j ON j.id = h.job_id
WHERE h.state = 'open' AND (j.id IS NULL OR j.state IN {_ENDED})
UNION ALL
SELECT 'job under way without its hold', j.id FROM jobs j LEFT JOIN holds h ON h.job_id = j.id
WHERE j.state NOT IN {_ENDED} AND j.price > 0 AND (h.state IS NULL OR h.state <> 'open' OR h.amount <> j.price)
"""
_KEYS = """
SELECT 'job without its idempotency key', j.id FROM jobs j LEFT JOIN idempotency i ON i.job_id = j.id
WHERE i.job_id IS NULL
"""
_MONEY = """
SELECT j.id, j.state, j.price, COALESCE(h.captured, 0) AS captured, COALESCE(h.state, 'none') AS hold
FROM jobs j LEFT JOIN holds h ON h.job_id = j.id
"""
_ENDINGS = """
SELECT j.id, j.state, COUNT(e.id) AS told, MIN(e.type) AS type
FROM jobs j LEFT JOIN events e ON e.job_id = j.id
    AND e.type IN ('job.succeeded', 'job.failed', 'job.cancelled', 'job.expired')
GROUP BY j.id
"""
_MADE = """
SELECT j.id, j.state, j.fence, j.output, j.result_id, r.id AS result FROM jobs j LEFT JOIN results r ON r.job_id = j.id
"""

Faults = list[str]


def read(path: Path) -> sqlite3.Connection:
    """Open the database that a process left behind."""
    connection = sqlite3.connect(path)
    connection.row_factory = sqlite3.Row
    return connection


def lines(side: Path) -> list[list[str]]:
    """Return the side file's lines; the last one may have been cut."""
    return [json.loads(line) for line in side.read_bytes().splitlines()] if side.exists() else []


def faults_now(folder: Path) -> Faults:
    """Return what must not be at any moment, not even right after a kill."""
    connection = read(folder / "penstock.sqlite3")
    try:
        return list(_at_any_moment(connection, folder))
    finally:
        connection.close()


def damage(folder: Path) -> Faults:
    """Return what SQLite itself finds wrong with the file."""
    connection = read(folder / "penstock.sqlite3")
    try:
        found = [row[0] for row in connection.execute("PRAGMA integrity_check")]
    finally:
        connection.close()
    return [] if found == ["ok"] else found


def faults_after(folder: Path) -> Faults:
    """Return what must not be once everything has been mended and every job has had its chance to end."""
    connection = read(folder / "penstock.sqlite3")
    try:
        return [*_at_any_moment(connection, folder), *_at_the_end(connection, folder)]
    finally:
        connection.close()


def last_moment(folder: Path) -> float:
    """Return the latest time that the database knows of: where the clock of the next process starts."""
    connection = read(folder / "penstock.sqlite3")
    try:
        found = connection.execute(
            "SELECT MAX(at) FROM (SELECT MAX(created_at) AS at FROM events UNION ALL "
            "SELECT MAX(lease_until) - 30 FROM jobs UNION ALL SELECT MAX(keep_until) - 3600 FROM files)"
        ).fetchone()[0]
    finally:
        connection.close()
    return 1_800_000_000.0 if found is None else float(found)


def _at_any_moment(connection: sqlite3.Connection, folder: Path) -> Iterator[str]:
    for statement in (ledger.VIOLATIONS, _UNEVEN_HOLDS, _KEYS):
        yield from (f"{row[0]}: {row[1]}" for row in connection.execute(statement))
    known = {row["id"] for row in connection.execute("SELECT id FROM jobs")}
    for kind, *rest in lines(folder / "side"):
        if kind == "accepted" and rest[1] not in known:
            yield f"accepted and then lost: {rest[1]}"
    yield from _watched(connection)


def _watched(connection: sqlite3.Connection) -> Iterator[str]:
    for row in connection.execute("SELECT * FROM watched"):
        before, after = row["before"], row["after"]
        allowed = {"waiting", "ready"} if before is None else TRANSITIONS[before]
        if after not in allowed:
            yield f"{before} -> {after}, which is no transition: {row['job']}"
        if row["running"] is not None and row["running"] > RUNNING[row["account"]]:
            yield f"{row['running']} jobs of {row['account']} at one time"


def _at_the_end(connection: sqlite3.Connection, folder: Path) -> Iterator[str]:
    yield from _money(connection)
    yield from _endings(connection)
    yield from _made(connection)
    yield from _keys(folder)
    yield from _asked(connection, folder)
    yield from _files(connection, folder)


def _money(connection: sqlite3.Connection) -> Iterator[str]:
    spent: Counter[str] = Counter()
    for row in connection.execute(_MONEY.replace("j.id,", "j.id, j.account_id,", 1)):
        owed = row["price"] if row["state"] == "succeeded" else 0
        spent[row["account_id"]] += owed
        if row["hold"] == "open":
            yield f"still held: {row['id']}"
        if row["captured"] != owed:
            yield f"{row['captured']} credits taken for {row['id']}, which {row['state']} and costs {row['price']}"
    for wallet in connection.execute("SELECT * FROM wallets"):
        if (wallet["available"], wallet["held"]) != (FUNDS - spent[wallet["account_id"]], 0):
            yield f"{wallet['account_id']} has {wallet['available']} and {wallet['held']} held, spent {spent}"


def _endings(connection: sqlite3.Connection) -> Iterator[str]:
    for row in connection.execute(_ENDINGS):
        if row["state"] not in FINAL:
            yield f"never ended: {row['id']} is {row['state']}"
        elif row["told"] != 1 or row["type"] != f"job.{row['state']}":
            yield f"told {row['told']} times of its end ({row['type']}): {row['id']}"
    watched = Counter(
        row["job"] for row in connection.execute("SELECT job, after FROM watched") if row["after"] in FINAL
    )
    yield from (f"ended {times} times: {job}" for job, times in watched.items() if times != 1)


def _made(connection: sqlite3.Connection) -> Iterator[str]:
    for row in connection.execute(_MADE):
        if (row["state"] == "succeeded") != (row["result"] is not None) or row["result_id"] != row["result"]:
            yield f"{row['id']} {row['state']} with result {row['result']}"
        if row["state"] == "succeeded" and json.loads(row["output"])["fence"] != row["fence"]:
            yield f"the result of {row['id']} is from a worker that had lost it"


def _keys(folder: Path) -> Iterator[str]:
    answers: dict[str, set[str]] = {}
    for kind, *rest in lines(folder / "side"):
        if kind == "accepted":
            answers.setdefault(rest[0], set()).add(rest[1])
    yield from (f"one key, {len(jobs)} jobs: {key}" for key, jobs in answers.items() if len(jobs) > 1)


def _asked(connection: sqlite3.Connection, folder: Path) -> Iterator[str]:
    """Compare what the vendors saw with what they may have seen: no second charge, no try too many."""
    operations = {
        json.loads(row["inputs"])["words"]: row["operation"]
        for row in connection.execute("SELECT inputs, operation FROM jobs")
    }
    asked: Counter[tuple[str, str]] = Counter()
    free: Counter[tuple[str, str]] = Counter()
    waits: Counter[tuple[str, str]] = Counter()
    restarts = 0
    for kind, *rest in lines(folder / "side"):
        if kind == "asked":
            asked[rest[0], rest[1]] += 1
        elif kind == "told":
            free[rest[0], rest[1]] += rest[2] in NOT_BILLED
            waits[rest[0], rest[1]] += rest[2] == "limited"
        restarts += kind == "restarted"
    for (vendor, words), times in asked.items():
        charged = times - free[vendor, words]
        if vendor in {"billed", "vendor"} and charged > 1 and operations[words] not in MAY_PAY_TWICE:
            yield f"{vendor} was asked {times} times for {words} and charged {charged} times"
        if times - waits[vendor, words] - restarts > ATTEMPTS:  # what a drain interrupts costs no try
            yield f"{vendor} was asked {times} times for {words}, with {ATTEMPTS} tries allowed"


def _files(connection: sqlite3.Connection, folder: Path) -> Iterator[str]:
    stored = {str(path.relative_to(folder / "files")) for path in (folder / "files").rglob("*.jpg")}
    rows = {row["key"]: row["state"] for row in connection.execute("SELECT key, state FROM files")}
    wanted = {
        variant["key"]
        for row in connection.execute("SELECT variants FROM results WHERE deleted_at IS NULL")
        for variant in json.loads(row["variants"])
    }
    yield from (f"file without a row: {key}" for key in stored - set(rows))
    yield from (f"file {state} after the clean-up: {key}" for key, state in rows.items() if state != "kept")
    yield from (f"a result's file is gone: {key}" for key in wanted - stored)
    yield from (f"kept and of no result: {key}" for key in set(rows) - wanted)
