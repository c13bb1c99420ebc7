"""The ledger's statements. Every operation locks the wallet first (`LOCK_WALLET`), so that two never interleave."""

from penstock.kit.database import Variants

# SQLite has no row locks, and its one writer may be told so by a change that changes nothing. On PostgreSQL that would
# leave a dead row behind each time.
LOCK_WALLET: Variants = {
    "sqlite": """
UPDATE wallets SET epoch = epoch WHERE account_id = :account_id
RETURNING account_id, available, held, debt, epoch
""",
    "postgresql": """
SELECT account_id, available, held, debt, epoch FROM wallets WHERE account_id = :account_id FOR NO KEY UPDATE
""",
}

OPEN_WALLET = "INSERT INTO wallets (account_id) VALUES (:account_id) ON CONFLICT (account_id) DO NOTHING"

WALLET = "SELECT available, held, debt FROM wallets WHERE account_id = :account_id"

MOVE_WALLET = """
UPDATE wallets SET available = available + :available, held = held + :held, debt = debt + :debt
WHERE account_id = :account_id
"""

START_EPOCH = "UPDATE wallets SET epoch = epoch + 1 WHERE account_id = :account_id"

INSERT_LOT = """
INSERT INTO lots (id, account_id, kind, priority, granted, remaining, expires_at, source_key, created_at)
VALUES (:id, :account_id, :kind, :priority, :granted, :granted, :expires_at, :source_key, :now)
ON CONFLICT (source_key) DO NOTHING
"""

LOTS_BY_SOURCE = """
SELECT id, account_id, granted, remaining, closed_as, closed_by FROM lots WHERE source_key = :source_key
"""

GRANTED = """
SELECT l.account_id, l.granted, t.reason FROM lots l JOIN transfers t ON t.lot_id = l.id AND t.kind = 'grant'
WHERE l.source_key = :source_key
"""

# What lots that ended took along, less what a refund has counted as taken back since.
# A lot whose time is over swallows what is given back before maintenance closes it, perhaps in another way: so what was
# lost is read from the book, not from how the lot was closed.
LOST_LOTS = """
SELECT l.id, l.closed_as, l.closed_by,
    SUM(CASE WHEN t.credit = 'forfeited' THEN t.amount WHEN t.debit = 'forfeited' THEN -t.amount ELSE 0 END)
        AS forfeited,
    SUM(CASE WHEN t.credit = 'expired' THEN t.amount WHEN t.debit = 'expired' THEN -t.amount ELSE 0 END) AS expired
FROM lots l JOIN transfers t ON t.lot_id = l.id AND t.account_id = l.account_id
WHERE l.account_id = :account_id
    AND (t.credit IN ('forfeited', 'expired') OR t.debit IN ('forfeited', 'expired'))
GROUP BY l.id, l.closed_as, l.closed_by, l.created_at ORDER BY l.created_at, l.id
"""

# Burn order: priority, then what expires first, then the oldest.
SPENDABLE_LOTS = """
SELECT id, remaining, expires_at FROM lots
WHERE account_id = :account_id AND closed_at IS NULL AND remaining > 0
ORDER BY priority, CASE WHEN expires_at IS NULL THEN 1 ELSE 0 END, expires_at, created_at, id
"""

OPEN_LOTS = """
SELECT id, kind, remaining, granted, expires_at FROM lots
WHERE account_id = :account_id AND closed_at IS NULL AND remaining > 0
ORDER BY priority, CASE WHEN expires_at IS NULL THEN 1 ELSE 0 END, expires_at, created_at, id
LIMIT :limit
"""

TAKE_FROM_LOT = "UPDATE lots SET remaining = remaining - :amount WHERE id = :lot_id"

GIVE_TO_LOT = "UPDATE lots SET remaining = remaining + :amount WHERE id = :lot_id"

FORFEIT = "SELECT account_id, lost FROM forfeits WHERE source_key = :source_key"

INSERT_FORFEIT = """
INSERT INTO forfeits (source_key, account_id, lost, created_at) VALUES (:source_key, :account_id, :lost, :now)
"""

ADD_TO_FORFEIT = "UPDATE forfeits SET lost = lost + :lost WHERE source_key = :source_key"

CLOSE_LOT = """
UPDATE lots SET remaining = 0, closed_at = :now, closed_as = :closed_as, closed_by = :closed_by WHERE id = :lot_id
"""

UNCLOSED_LOTS = """
SELECT id, remaining FROM lots
WHERE account_id = :account_id AND closed_at IS NULL AND created_at <= :until ORDER BY id
"""

EXPIRED_LOTS = """
SELECT id, account_id FROM lots
WHERE closed_at IS NULL AND expires_at IS NOT NULL AND expires_at <= :now ORDER BY expires_at LIMIT :limit
"""

EXPIRED_LOTS_OF = """
SELECT id, remaining FROM lots
WHERE account_id = :account_id AND closed_at IS NULL AND expires_at IS NOT NULL AND expires_at <= :now ORDER BY id
"""

HOLD = "SELECT account_id, amount FROM holds WHERE job_id = :job_id"

INSERT_HOLD = """
INSERT INTO holds (job_id, account_id, amount, created_at) VALUES (:job_id, :account_id, :amount, :now)
ON CONFLICT (job_id) DO NOTHING
"""

INSERT_HOLD_LOT = "INSERT INTO hold_lots (job_id, lot_id, amount) VALUES (:job_id, :lot_id, :amount)"

# A hold with each of its lots. The order in which they were taken is the order in which they are captured.
HOLD_WITH_LOTS = """
SELECT o.account_id, o.amount AS held, o.state, o.captured, h.lot_id, h.amount, l.closed_as, l.expires_at
FROM holds o JOIN hold_lots h ON h.job_id = o.job_id JOIN lots l ON l.id = h.lot_id
WHERE o.job_id = :job_id
ORDER BY l.priority, CASE WHEN l.expires_at IS NULL THEN 1 ELSE 0 END, l.expires_at, l.created_at, l.id
"""

RESOLVE_HOLD = """
UPDATE holds SET state = :state, captured = :captured WHERE job_id = :job_id AND state = 'open'
"""

INSERT_TRANSFER = """
INSERT INTO transfers (account_id, kind, debit, credit, amount, lot_id, job_id, reason, key, created_at)
VALUES (:account_id, :kind, :debit, :credit, :amount, :lot_id, :job_id, :reason, :key, :now)
"""

ENTRIES = """
SELECT t.id, t.kind, t.debit, t.credit, t.amount, t.lot_id, t.job_id, t.reason, t.created_at, t.key, l.source_key
FROM transfers t LEFT JOIN lots l ON l.id = t.lot_id
WHERE t.account_id = :account_id AND t.id < :before ORDER BY t.id DESC LIMIT :limit
"""

# Each row is something that must never be: the wallet against the book, the lots and the holds; lots against the book.
VIOLATIONS = """
WITH book AS (
    SELECT account_id,
        SUM(CASE WHEN credit = 'available' THEN amount WHEN debit = 'available' THEN -amount ELSE 0 END) AS available,
        SUM(CASE WHEN credit = 'held' THEN amount WHEN debit = 'held' THEN -amount ELSE 0 END) AS held,
        SUM(CASE WHEN credit = 'debt' THEN -amount WHEN debit = 'debt' THEN amount ELSE 0 END) AS debt
    FROM transfers GROUP BY account_id),
lot_book AS (
    SELECT lot_id,
        SUM(CASE WHEN credit = 'available' THEN amount WHEN debit = 'available' THEN -amount ELSE 0 END) AS remaining
    FROM transfers WHERE lot_id IS NOT NULL GROUP BY lot_id),
open_holds AS (SELECT account_id, SUM(amount) AS held FROM holds WHERE state = 'open' GROUP BY account_id),
open_lots AS (SELECT account_id, SUM(remaining) AS remaining FROM lots GROUP BY account_id),
taken AS (SELECT job_id, SUM(amount) AS amount FROM hold_lots GROUP BY job_id),
hold_book AS (
    SELECT job_id,
        SUM(CASE WHEN credit = 'held' THEN amount WHEN debit = 'held' THEN -amount ELSE 0 END) AS held,
        SUM(CASE WHEN credit = 'spent' THEN amount ELSE 0 END) AS captured
    FROM transfers WHERE job_id IS NOT NULL GROUP BY job_id)
SELECT 'wallet differs from the book' AS violation, w.account_id AS subject
FROM wallets w LEFT JOIN book b ON b.account_id = w.account_id
WHERE w.available <> COALESCE(b.available, 0) OR w.held <> COALESCE(b.held, 0) OR w.debt <> COALESCE(b.debt, 0)
UNION ALL
SELECT 'lot differs from the book', l.id FROM lots l LEFT JOIN lot_book b ON b.lot_id = l.id
WHERE l.remaining <> COALESCE(b.remaining, 0)
UNION ALL
SELECT 'wallet differs from its open holds', w.account_id
FROM wallets w LEFT JOIN open_holds h ON h.account_id = w.account_id WHERE w.held <> COALESCE(h.held, 0)
UNION ALL
SELECT 'wallet differs from its lots', w.account_id
FROM wallets w LEFT JOIN open_lots l ON l.account_id = w.account_id WHERE w.available <> COALESCE(l.remaining, 0)
UNION ALL
SELECT 'hold differs from the lots it took from', h.job_id
FROM holds h LEFT JOIN taken t ON t.job_id = h.job_id WHERE h.amount <> COALESCE(t.amount, 0)
UNION ALL
SELECT 'hold differs from the book', h.job_id FROM holds h LEFT JOIN hold_book b ON b.job_id = h.job_id
WHERE COALESCE(b.held, 0) <> CASE WHEN h.state = 'open' THEN h.amount ELSE 0 END
    OR COALESCE(b.captured, 0) <> h.captured
UNION ALL
SELECT 'transfer without a hold', t.job_id FROM transfers t LEFT JOIN holds h ON h.job_id = t.job_id
WHERE t.job_id IS NOT NULL AND h.job_id IS NULL
UNION ALL
SELECT 'transfer without a wallet', t.account_id FROM transfers t LEFT JOIN wallets w ON w.account_id = t.account_id
WHERE w.account_id IS NULL
LIMIT 100
"""
