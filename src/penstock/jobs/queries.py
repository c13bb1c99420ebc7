"""The flow's statements that move no job: reading jobs, idempotency keys, attempts, counts."""

IDEMPOTENT = """
SELECT fingerprint, job_id FROM idempotency WHERE account_id = :account_id AND key = :key
"""

INSERT_IDEMPOTENCY = """
INSERT INTO idempotency (account_id, key, fingerprint, job_id, created_at)
VALUES (:account_id, :key, :fingerprint, :job_id, :now)
"""

# Of the jobs that an account submitted since: what models say they read and wrote for them.
TOKENS_SINCE = """
SELECT COALESCE(SUM(attempts.tokens), 0) FROM jobs JOIN attempts ON attempts.job_id = jobs.id
WHERE jobs.account_id = :account_id AND jobs.created_at > :since
"""

DELETE_OLD_KEYS = """
DELETE FROM idempotency WHERE (account_id, key) IN (
    SELECT account_id, key FROM idempotency WHERE created_at < :before ORDER BY created_at LIMIT :limit)
"""

# What failed on our side doesn't count against a customer's allowance.
SUBMITTED_SINCE = """
SELECT COUNT(*) AS jobs, MIN(created_at) AS oldest FROM jobs
WHERE account_id = :account_id AND created_at > :since AND state <> 'failed'
"""

_VIEW = """
SELECT id, account_id, operation, plan, product_version, price, inputs, options, state, rank, cancel_requested, stage,
    progress, output, error, result_id, attempts, created_at, started_at, finished_at, provider, cached_from
FROM jobs
"""

JOB = _VIEW + " WHERE id = :id AND account_id = :account_id"

ANY_JOB = _VIEW + " WHERE id = :id"

# Newest first; ids grow with time, so the last id of a page is where the next one starts. PostgreSQL can't tell the
# type of what is only compared with null: hence the casts.
LIST_JOBS = (
    _VIEW
    + """
WHERE account_id = :account_id AND (created_at < :before_at OR (created_at = :before_at AND id < :before_id))
    AND (CAST(:operation AS TEXT) IS NULL OR operation = :operation) AND (:any_state = 1 OR state IN (:s0, :s1))
    AND (CAST(:cancelling AS BOOLEAN) IS NULL OR cancel_requested = :cancelling)
ORDER BY created_at DESC, id DESC LIMIT :limit
"""
)

QUEUED_OF = """
SELECT id, account_id, operation, plan, rank FROM jobs
WHERE account_id = :account_id AND state IN ('waiting', 'ready') ORDER BY rank LIMIT :limit
"""

# Recent jobs of the sample, with what was expected of them: waits are learnt from these.
RECENT_SAMPLE = """
SELECT predicted_wait_s, created_at, started_at, finished_at FROM jobs
WHERE predicted_wait_s IS NOT NULL AND started_at IS NOT NULL ORDER BY started_at DESC LIMIT :limit
"""

# Ids grow with time: the primary key is read from its end.
RECENT_ARRIVALS = "SELECT plan, created_at FROM jobs ORDER BY id DESC LIMIT :limit"

# The customer's jobs that start before a rank or are under way; each half by an index of its own.
OWN_AHEAD = """
SELECT (
    SELECT COUNT(*) FROM (
        SELECT 1 FROM jobs WHERE account_id = :account_id AND state IN ('waiting', 'ready') AND rank < :rank
        LIMIT :limit) AS queued
) + (
    SELECT COUNT(*) FROM jobs
    WHERE account_id = :account_id AND state IN ('ready', 'running') AND state = 'running'
)
"""

OPEN_ATTEMPT = """
INSERT INTO attempts (job_id, number, provider, state, started_at)
VALUES (:job_id, :number, :provider, 'sending', :now)
"""

ASK_AGAIN = """
UPDATE attempts SET state = 'sending', calls = calls + 1, finished_at = NULL
WHERE job_id = :job_id AND number = :number AND provider = :provider AND state = 'finished'
"""

ATTEMPT_SUBMITTED = """
UPDATE attempts SET state = 'submitted', reference = :reference
WHERE job_id = :job_id AND number = :number AND provider = :provider AND state = 'sending'
"""

CLOSE_ATTEMPT = """
INSERT INTO attempts (job_id, number, provider, state, failure, detail, cost_microdollars, cost_estimated, tokens,
    started_at, finished_at)
VALUES (:job_id, :number, :provider, :state, :failure, :detail, :cost_microdollars, :cost_estimated, :tokens,
    :started_at, :now)
ON CONFLICT (job_id, number, provider) DO UPDATE SET state = excluded.state, failure = excluded.failure,
    detail = excluded.detail, finished_at = excluded.finished_at,
    cost_microdollars = CASE WHEN excluded.cost_microdollars IS NULL THEN attempts.cost_microdollars
        WHEN attempts.calls > 1 THEN COALESCE(attempts.cost_microdollars, 0) + excluded.cost_microdollars
        ELSE excluded.cost_microdollars END,
    cost_estimated = CASE WHEN excluded.cost_microdollars IS NULL THEN attempts.cost_estimated
        WHEN attempts.calls > 1 THEN attempts.cost_estimated OR excluded.cost_estimated
        ELSE excluded.cost_estimated END,
    tokens = CASE WHEN excluded.tokens IS NULL THEN attempts.tokens
        WHEN attempts.calls > 1 THEN COALESCE(attempts.tokens, 0) + excluded.tokens
        ELSE excluded.tokens END
"""

# What was begun and never closed: newest first.
UNFINISHED_ATTEMPTS = """
SELECT number, provider, state, reference FROM attempts
WHERE job_id = :job_id AND state IN ('sending', 'submitted') ORDER BY number DESC LIMIT 10
"""

# What earlier claims of a job may have been billed for: an end that came to nothing because its worker died before
# the settle counts too, and so does an outcome that nobody knows.
BEGUN_BEFORE = """
SELECT number, provider, state, reference FROM attempts
WHERE job_id = :job_id AND number < :fence AND (state <> 'failed' OR failure = 'unknown') ORDER BY number DESC LIMIT 10
"""

# What a job's attempts have cost; `perhaps` where a provider was asked and nobody knows whether it bills. Of several
# calls the last one may be what nobody knows of.
SPENT = """
SELECT provider, cost_microdollars, (cost_microdollars IS NULL AND (state <> 'failed' OR failure = 'unknown'))
    OR (calls > 1 AND (state = 'sending' OR failure = 'unknown')) AS perhaps
FROM attempts WHERE job_id = :job_id
"""

# What a provider's recent calls for an operation have cost, as far as it was measured. The newest ones are read from
# `ix_attempts_measured`, so that an operation that few ask for costs no more to look for.
MEASURED_COST = """
SELECT AVG(recent.cost_microdollars) FROM (
    SELECT job_id, cost_microdollars FROM attempts
    WHERE provider = :provider AND finished_at > :since AND state = 'finished'
        AND cost_microdollars > 0 AND cost_estimated = false
    ORDER BY finished_at DESC LIMIT :limit
) AS recent JOIN jobs ON jobs.id = recent.job_id WHERE jobs.operation = :operation
"""

ATTEMPTS = """
SELECT number, provider, state, reference, failure, detail, cost_microdollars, cost_estimated, tokens, calls,
    started_at, finished_at
FROM attempts WHERE job_id = :job_id ORDER BY started_at, number LIMIT 100
"""

# Holds whose job has ended or never was: none exist unless something is broken.
STALE_HOLDS = """
SELECT h.job_id, h.account_id FROM holds h LEFT JOIN jobs j ON j.id = h.job_id
WHERE h.state = 'open' AND (j.id IS NULL OR j.state IN ('succeeded', 'failed', 'cancelled', 'expired'))
    AND h.created_at < :before
LIMIT :limit
"""

# What a customer has under way. Each condition on the state is that of a partial index, word for word.
UNDER_WAY = """
SELECT
    (SELECT COUNT(*) FROM jobs
     WHERE account_id = :account_id AND state IN ('ready', 'running') AND state = 'running') AS running,
    (SELECT COUNT(*) FROM jobs WHERE account_id = :account_id AND state IN ('waiting', 'ready')) AS queued
"""

STILL_QUEUED = "SELECT 1 AS queued FROM jobs WHERE id = :id AND state IN ('waiting', 'ready')"

LAST_POSITION = """
SELECT data FROM events WHERE account_id = :account_id AND job_id = :job_id AND type = 'job.position'
ORDER BY id DESC LIMIT 1
"""

# The whole queue in order, for counting many places at once: read from `ix_jobs_queued` alone.
QUEUED_RANKS = "SELECT rank FROM jobs WHERE state IN ('waiting', 'ready') ORDER BY rank LIMIT :limit"
