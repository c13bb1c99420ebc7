"""What providers cost and what the work earned, by day, operation and provider: for operators."""

from dataclasses import dataclass, replace

from penstock.jobs import operator_queries
from penstock.kit.database import Row, Transaction
from penstock.kit.ids import first_id_at

DAY_S = 86_400
MAX_DAYS = 92
MAX_LINES = 10_000
CLOCK_SLACK_S = 3_600.0  # ids are made by the clock of a process, and days counted by the database's times


@dataclass(frozen=True)
class CostLine:
    """One operation at one provider on one day.

    Args:
        day: on which the jobs were submitted, in days since 1970 UTC.
        provider: None for jobs that were answered from the cache.
        attempts: calls that were written down: those of providers that bill, and failures of the others.
        succeeded: jobs that ended well, and `credits` that they earned.
        cost: in millionths of a US dollar; `estimated` is the part of it that no vendor reported.
        unknown: attempts that were perhaps billed, and nobody knows how much.
    """

    day: int
    operation: str
    provider: str | None
    attempts: int = 0
    failed: int = 0
    cost: int = 0
    estimated: int = 0
    unknown: int = 0
    succeeded: int = 0
    credits: int = 0


def summary(tx: Transaction, days: int) -> list[CostLine]:
    """Return the lines of the last `days` days, today included: the newest day first, then the dearest.

    Args:
        days: 1 to `MAX_DAYS`.
    """
    since = (tx.now // DAY_S - days + 1) * DAY_S
    bounds = {"since": since, "first_id": first_id_at("job", max(0.0, since - CLOCK_SLACK_S)), "limit": MAX_LINES}
    lines: dict[tuple[int, str, str], CostLine] = {}
    for row in tx.all(operator_queries.ATTEMPTED[tx.dialect], **bounds):
        lines[_key(row)] = CostLine(**row)
    for row in tx.all(operator_queries.EARNED[tx.dialect], **bounds):
        line = lines.get(_key(row), CostLine(row["day"], row["operation"], row["provider"]))
        lines[_key(row)] = replace(line, succeeded=row["succeeded"], credits=row["credits"])
    return sorted(lines.values(), key=lambda line: (-line.day, -line.cost, line.operation, line.provider or ""))


def _key(row: Row) -> tuple[int, str, str]:
    return row["day"], row["operation"], row["provider"] or ""
