"""The tables of the flow. The job row is the queue: nothing else knows what is waiting."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    text,
)
from sqlalchemy.sql.elements import TextClause

from penstock.jobs.states import TRANSITIONS
from penstock.kit.database import metadata


def _partial(name: str, columns: list[Column[object]], where: str) -> Index:
    condition: TextClause = text(where)
    return Index(name, *columns, sqlite_where=condition, postgresql_where=condition)


jobs = Table(
    "jobs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("account_id", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column("plan", Text, nullable=False),
    Column("product_version", Text, nullable=False),
    Column("price", BigInteger, nullable=False, comment="credits held at submit"),
    Column("inputs", Text, nullable=False, comment="JSON"),
    Column("options", Text, nullable=False, comment="JSON"),
    Column("state", Text, nullable=False),
    Column("rank", Double, nullable=False, comment="lower goes first; fixed at submit"),
    Column("run_at", Double, nullable=False, comment="not before this moment (retries)"),
    Column("fence", Integer, nullable=False, server_default="0", comment="grows with each claim"),
    Column("worker", Text),
    Column("lease_until", Double),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("cancel_requested", Boolean, nullable=False, server_default=text("false")),
    Column("stage", Text),
    Column("progress", Double),
    Column("predicted_wait_s", Double, comment="what was expected at submit; only for a sample, to learn from"),
    Column("provider", Text),
    Column("output", Text, comment="JSON"),
    Column("error", Text, comment="JSON, for the customer"),
    Column("result_id", Text),
    Column("created_at", Double, nullable=False),
    Column("started_at", Double),
    Column("finished_at", Double),
    Column("cache_key", Text, comment="by which identical requests find it; null where there is no cache"),
    Column("cached_from", Text, comment="the job whose result is given instead of work"),
    Column("route_why", Text, comment="JSON, for operators: whom its last choices skipped, and why"),
    CheckConstraint("state IN ({})".format(", ".join(f"'{state}'" for state in TRANSITIONS)), name="state"),
    CheckConstraint("(state = 'running') = (lease_until IS NOT NULL)", name="lease"),
)
_partial("ix_jobs_ready", [jobs.c.rank, jobs.c.run_at, jobs.c.operation], "state = 'ready'")
_partial("ix_jobs_queued", [jobs.c.rank], "state IN ('waiting', 'ready')")
_partial("ix_jobs_queued_of", [jobs.c.account_id, jobs.c.rank], "state IN ('waiting', 'ready')")
_partial("ix_jobs_active_of", [jobs.c.account_id], "state IN ('ready', 'running')")
_partial("ix_jobs_leases", [jobs.c.lease_until], "state = 'running'")
Index("ix_jobs_account", jobs.c.account_id, jobs.c.created_at)
_partial("ix_jobs_sampled", [jobs.c.started_at], "predicted_wait_s IS NOT NULL AND started_at IS NOT NULL")

idempotency = Table(
    "idempotency",
    metadata,
    Column("account_id", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False, comment="SHA-256 of the request"),
    Column("job_id", Text, ForeignKey("jobs.id"), nullable=False),
    Column("created_at", Double, nullable=False),
)
Index("ix_idempotency_age", idempotency.c.created_at)

attempts = Table(
    "attempts",
    metadata,
    Column("job_id", Text, ForeignKey("jobs.id"), primary_key=True),
    Column("number", Integer, primary_key=True, comment="the fence of the claim"),
    Column("provider", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("reference", Text, comment="the provider's id of the work"),
    Column("failure", Text),
    Column("detail", Text, comment="for operators"),
    Column("cost_microdollars", BigInteger),
    Column("started_at", Double, nullable=False),
    Column("finished_at", Double),
    Column(
        "cost_estimated",
        Boolean,
        nullable=False,
        server_default=text("false"),
        comment="the provider did not report it",
    ),
    Column("tokens", BigInteger, comment="in and out, as the provider reports them"),
    Column("calls", Integer, nullable=False, server_default="1", comment="requests sent; cost and tokens are of all"),
    CheckConstraint("state IN ('sending', 'submitted', 'finished', 'failed')", name="state"),
)

_partial(
    "ix_attempts_measured",
    [attempts.c.provider, attempts.c.finished_at],
    "cost_microdollars > 0 AND cost_estimated = false",
)

reservations = Table(
    "reservations",
    metadata,
    Column("job_id", Text, ForeignKey("jobs.id"), primary_key=True),
    Column("fence", Integer, primary_key=True),
    Column("provider", Text, primary_key=True),
    Column("taken_at", Double, nullable=False),
    Column("tokens", BigInteger, nullable=False, comment="expected, then used"),
    Column("measured", Boolean, nullable=False, comment="whether the provider said how many"),
    Column("done_at", Double),
)
Index("ix_reservations_window", reservations.c.provider, reservations.c.taken_at)
_partial("ix_reservations_open", [reservations.c.provider], "done_at IS NULL")

cached_results = Table(
    "cached_results",
    metadata,
    Column("key", Text, primary_key=True, comment="SHA-256 of all that a result depends on"),
    Column("job_id", Text, ForeignKey("jobs.id"), nullable=False),
    Column("used_at", Double, nullable=False),
)
Index("ix_cached_results_used", cached_results.c.used_at)

provider_states = Table(
    "provider_states",
    metadata,
    Column("provider", Text, primary_key=True),
    Column("paused_until", Double, nullable=False),
)

workers = Table(
    "workers",
    metadata,
    Column("name", Text, primary_key=True),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("slots", Integer, nullable=False),
    Column("running", Integer, nullable=False),
    Column("draining", Boolean, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("seen_at", Double, nullable=False),
)

chores = Table(
    "chores",
    metadata,
    Column("name", Text, primary_key=True),
    Column("holder", Text, comment="who is at it"),
    Column("due_at", Double, nullable=False, comment="by the database's clock"),
    Column("done_at", Double, comment="by the database's clock"),
    Column("found", BigInteger, comment="what the last time brought"),
)
