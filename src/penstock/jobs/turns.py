"""Whose turn it is: of all processes on a database one at a time does a chore, and none does it too soon again.

    due_in -> take (a lease) -> keep, while it lasts -> finish (due again in a while)

One row for each chore. Times here are the database's, so that processes whose clocks differ agree. Whoever dies at a
chore leaves a lease that runs out; chores can bear to be cut and repeated, so more is not needed.
"""

from penstock.kit.database import Transaction, Variants

TURN_S = 20.0  # how long whoever is at a chore may be silent; below a job's lease, which the first chore looks after

_NOW: Variants = {
    "sqlite": "((julianday('now') - 2440587.5) * 86400.0)",
    "postgresql": "CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS DOUBLE PRECISION)",
}


def _with_now(sql: str) -> Variants:
    return {dialect: sql.replace("{now}", now) for dialect, now in _NOW.items()}


DUE_IN = _with_now("SELECT due_at - {now} FROM chores WHERE name = :name")

# A moment that lies further ahead than anybody would have written means that the database's clock was set back.
TAKE = _with_now("""
INSERT INTO chores (name, holder, due_at) VALUES (:name, :holder, {now} + :turn_s)
ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, due_at = excluded.due_at
WHERE chores.due_at <= {now} OR chores.due_at > {now} + :most_s
RETURNING name
""")

KEEP = _with_now("UPDATE chores SET due_at = {now} + :turn_s WHERE name = :name AND holder = :holder RETURNING name")

FINISH = _with_now("""
UPDATE chores SET holder = NULL, due_at = {now} + :every_s,
    done_at = CASE WHEN CAST(:found AS BIGINT) IS NULL THEN done_at ELSE {now} END, found = COALESCE(:found, found)
WHERE name = :name AND holder = :holder
""")

FOUND = "SELECT found FROM chores WHERE name = :name"


def due_in(tx: Transaction, name: str) -> float:
    """Return the seconds until somebody may do a chore; 0 or less for now."""
    left_s = tx.value(DUE_IN[tx.dialect], name=name)
    return 0.0 if left_s is None else float(left_s)


def take(tx: Transaction, name: str, holder: str, every_s: float) -> bool:
    """Take the turn at a chore that is due; False if somebody else was faster."""
    most_s = 2 * max(every_s, TURN_S)
    return tx.one(TAKE[tx.dialect], name=name, holder=holder, turn_s=TURN_S, most_s=most_s) is not None


def keep(tx: Transaction, name: str, holder: str) -> bool:
    """Say that the holder is still at it; False if it has lost its turn."""
    return tx.one(KEEP[tx.dialect], name=name, holder=holder, turn_s=TURN_S) is not None


def finish(tx: Transaction, name: str, holder: str, every_s: float, found: int | None) -> None:
    """Give the turn back: the chore is due again in `every_s` seconds.

    Args:
        found: what it brought; None if it came to no end.
    """
    tx.run(FINISH[tx.dialect], name=name, holder=holder, every_s=every_s, found=found)


def last_found(tx: Transaction, name: str) -> int:
    """Return what a chore brought the last time that it came to an end, whoever did it; 0 before the first."""
    return int(tx.value(FOUND, name=name) or 0)
