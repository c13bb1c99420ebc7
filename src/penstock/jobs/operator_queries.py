"""The statements behind what operators see of jobs and of costs."""

from penstock.kit.database import Variants


def _by_day(sql: str) -> Variants:
    """Return a statement for each database: PostgreSQL rounds where it casts, and SQLite may have no FLOOR."""
    moment = "DAY_OF(j.created_at)"
    return {
        "sqlite": sql.replace(moment, "CAST(j.created_at / 86400 AS INTEGER)"),
        "postgresql": sql.replace(moment, "CAST(FLOOR(j.created_at / 86400) AS BIGINT)"),
    }


JOB = """
SELECT j.id, j.account_id, a.email, j.operation, j.plan, j.product_version, j.price, j.state, j.cancel_requested,
    j.attempts, j.fence, j.worker, j.provider, j.error, j.route_why, j.cached_from, j.created_at, j.started_at,
    j.finished_at
FROM jobs j LEFT JOIN accounts a ON a.id = j.account_id WHERE j.id = :id
"""

# What a job spent, by the lots that it came from.
SPENT_CREDITS = """
SELECT l.kind, l.source_key AS source, CAST(SUM(t.amount) AS BIGINT) AS credits
FROM transfers t JOIN lots l ON l.id = t.lot_id
WHERE t.account_id = (SELECT account_id FROM holds WHERE job_id = :job_id)
    AND t.job_id = :job_id AND t.credit = 'spent' GROUP BY l.kind, l.source_key ORDER BY l.source_key
"""

# Both by the day (UTC, days since 1970) on which the job was submitted: ids grow with time, so the primary keys are
# read from `first_id` on and no index is needed that every job would have to pay for.
ATTEMPTED = _by_day("""
SELECT DAY_OF(j.created_at) AS day, j.operation, a.provider, COUNT(*) AS attempts,
    CAST(SUM(CASE WHEN a.state = 'failed' THEN 1 ELSE 0 END) AS BIGINT) AS failed,
    CAST(SUM(COALESCE(a.cost_microdollars, 0)) AS BIGINT) AS cost,
    CAST(SUM(CASE WHEN a.cost_estimated THEN COALESCE(a.cost_microdollars, 0) ELSE 0 END) AS BIGINT) AS estimated,
    CAST(SUM(CASE WHEN a.cost_microdollars IS NULL AND (a.state <> 'failed' OR a.failure = 'unknown')
        THEN 1 ELSE 0 END) AS BIGINT) AS unknown
FROM attempts a JOIN jobs j ON j.id = a.job_id
WHERE a.job_id >= :first_id AND j.created_at >= :since GROUP BY 1, 2, 3 LIMIT :limit
""")

# A job that was answered from the cache has no provider.
EARNED = _by_day("""
SELECT DAY_OF(j.created_at) AS day, j.operation, j.provider, COUNT(*) AS succeeded,
    CAST(COALESCE(SUM(h.captured), 0) AS BIGINT) AS credits
FROM jobs j LEFT JOIN holds h ON h.job_id = j.id
WHERE j.id >= :first_id AND j.created_at >= :since AND j.state = 'succeeded' GROUP BY 1, 2, 3 LIMIT :limit
""")
