"""The statements of billing."""

from penstock.kit.database import Variants

# Accounts whose next month has begun: `plan_renews_at` is when a plan brings credits again.
DUE = """
SELECT id FROM accounts
WHERE NOT visitor AND plan_renews_at IS NOT NULL AND plan_renews_at <= :now AND id > :after ORDER BY id LIMIT :limit
"""

# Registered customers whose plan has no date: their plan brought nothing until its file was changed.
UNDATED = """
SELECT id FROM accounts
WHERE NOT visitor AND plan_renews_at IS NULL AND plan = :plan AND id > :after ORDER BY id LIMIT :limit
"""

_TERMS = "SELECT plan, plan_renews_at, registered_at FROM accounts WHERE id = :id AND NOT visitor"

# Locked, or a plan that is chosen just now would be written over.
TERMS: Variants = {"sqlite": _TERMS, "postgresql": f"{_TERMS} FOR NO KEY UPDATE"}

# Of somebody who pays for a plan.
SUBSCRIBED = """
SELECT 1 FROM subscriptions JOIN accounts ON accounts.id = subscriptions.account_id
WHERE account_id = :account_id AND status IN ('active', 'past_due') AND accounts.plan_renews_at IS NOT NULL
    AND EXISTS (SELECT 1 FROM payments WHERE payments.account_id = :account_id AND payments.kind = 'plan'
        AND payments.status = 'paid')
LIMIT 1
"""

# Payment facts. Whoever writes one of an account holds that account's wallet; one without an account is written alone.

INSERT_CUSTOMER = """
INSERT INTO customers (provider, id, account_id, created_at) VALUES (:provider, :id, :account_id, :now)
ON CONFLICT DO NOTHING
"""

CUSTOMER_OF = "SELECT id FROM customers WHERE provider = :provider AND account_id = :account_id"

ACCOUNT_OF_CUSTOMER = "SELECT account_id FROM customers WHERE provider = :provider AND id = :id"

IS_CUSTOMER = "SELECT 1 FROM accounts WHERE id = :id AND NOT visitor"

ACCOUNT_OF_REFERENCE = """
SELECT p.account_id FROM payment_references r JOIN payments p ON p.provider = r.provider AND p.id = r.payment_id
WHERE r.provider = :provider AND r.reference = :reference
"""

PAYMENT_OF = "SELECT payment_id FROM payment_references WHERE provider = :provider AND reference = :reference"

ACCOUNT_OF_PAYMENT = "SELECT account_id FROM payments WHERE provider = :provider AND id = :id"

SUBSCRIPTION = "SELECT account_id, fact FROM subscriptions WHERE provider = :provider AND id = :id"

PUT_SUBSCRIPTION = """
INSERT INTO subscriptions (provider, id, account_id, status, fact) VALUES (:provider, :id, :account_id, :status, :fact)
ON CONFLICT (provider, id) DO UPDATE SET account_id = excluded.account_id, status = excluded.status,
    fact = excluded.fact
"""

SUBSCRIPTIONS_OF = "SELECT provider, id, fact FROM subscriptions WHERE account_id = :account_id ORDER BY provider, id"

SET_REVIEW = "UPDATE subscriptions SET review_at = :at WHERE provider = :provider AND id = :id"

PAYMENT = "SELECT account_id, fact FROM payments WHERE provider = :provider AND id = :id"

PUT_PAYMENT = """
INSERT INTO payments (provider, id, account_id, status, kind, cents, made_at, fact)
VALUES (:provider, :id, :account_id, :status, :kind, :cents, :made_at, :fact)
ON CONFLICT (provider, id) DO UPDATE SET account_id = excluded.account_id, status = excluded.status,
    kind = excluded.kind, cents = excluded.cents, made_at = excluded.made_at, fact = excluded.fact
"""

PAYMENTS_OF = """
SELECT provider, fact, granted, portions, next_at, clawed, corrections, flag FROM payments
WHERE account_id = :account_id AND status = 'paid' ORDER BY made_at, provider, id
"""

SET_GRANTED = """
UPDATE payments SET granted = :granted, portions = :portions, next_at = :next_at, flag = :flag
WHERE provider = :provider AND id = :id
"""

SET_CLAWED = """
UPDATE payments SET clawed = :clawed, corrections = corrections + 1 WHERE provider = :provider AND id = :id
"""

PUT_REFERENCE = """
INSERT INTO payment_references (provider, reference, payment_id) VALUES (:provider, :reference, :payment_id)
ON CONFLICT (provider, reference) DO NOTHING
"""

REVERSAL = "SELECT reference, kind, cents, counts, at FROM reversals WHERE provider = :provider AND id = :id"

PUT_REVERSAL = """
INSERT INTO reversals (provider, id, reference, kind, cents, counts, at)
VALUES (:provider, :id, :reference, :kind, :cents, :counts, :at)
ON CONFLICT (provider, id) DO UPDATE SET reference = excluded.reference, kind = excluded.kind, cents = excluded.cents,
    counts = excluded.counts, at = excluded.at
"""

# A dispute over money that was refunded as well takes it once: what went back is never more than what was paid.
REVERSED = """
SELECT r.payment_id, SUM(v.cents) AS cents,
    MAX(CASE WHEN v.kind = 'dispute' THEN 1 ELSE 0 END) AS disputed
FROM payment_references r
JOIN payments p ON p.provider = r.provider AND p.id = r.payment_id
JOIN reversals v ON v.provider = r.provider AND v.reference = r.reference
WHERE p.account_id = :account_id AND r.provider = :provider AND v.counts GROUP BY r.payment_id
"""

# Of two deliveries at the same moment the second waits for the first, and finds it done.
TAKE_EVENT = """
INSERT INTO webhook_events (provider, id, type, happened_at, received_at, outcome, body)
VALUES (:provider, :id, :type, :happened_at, :now, :outcome, :body)
ON CONFLICT (provider, id) DO UPDATE SET outcome = excluded.outcome, received_at = excluded.received_at
WHERE webhook_events.outcome = 'failed'
"""

NOTE_FAILED_EVENT = """
INSERT INTO webhook_events (provider, id, type, happened_at, received_at, outcome, body)
VALUES (:provider, :id, :type, :happened_at, :now, 'failed', :body) ON CONFLICT (provider, id) DO NOTHING
"""

FORGET_EVENTS = """
DELETE FROM webhook_events WHERE (provider, id) IN (
    SELECT provider, id FROM webhook_events WHERE received_at < :before ORDER BY received_at LIMIT 500)
"""

# Accounts for which time alone changes something: the next month of a year that was paid, a grace that is over.
DUE_ACCOUNTS = """
SELECT account_id FROM payments WHERE next_at <= :now AND account_id IS NOT NULL AND account_id > :after
UNION
SELECT account_id FROM subscriptions WHERE review_at <= :now AND account_id IS NOT NULL AND account_id > :after
ORDER BY account_id LIMIT :limit
"""

HISTORY = """
SELECT provider, id, status, kind, cents, made_at, fact, granted, clawed FROM payments
WHERE account_id = :account_id AND (made_at < :before OR (made_at = :before AND id < :before_id))
ORDER BY made_at DESC, id DESC LIMIT :limit
"""

GRANTED_SINCE = """
SELECT id FROM payments WHERE provider = :provider AND status = 'paid' AND granted > 0 AND made_at >= :since ORDER BY id
"""

# Of customers of ours only: other products may live on the same account of a provider.
PAYMENT_STATE = """
SELECT status, granted, clawed FROM payments WHERE provider = :provider AND id = :id AND account_id IS NOT NULL
"""

SUBSCRIPTION_STATE = """
SELECT status FROM subscriptions WHERE provider = :provider AND id = :id AND account_id IS NOT NULL
"""

REVERSAL_STATE = """
SELECT v.counts, v.cents FROM reversals v
JOIN payment_references r ON r.provider = v.provider AND r.reference = v.reference
JOIN payments p ON p.provider = r.provider AND p.id = r.payment_id
WHERE v.provider = :provider AND v.id = :id AND p.account_id IS NOT NULL
"""

FLAGGED_PAYMENTS = """
SELECT id, flag FROM payments
WHERE provider = :provider AND status = 'paid' AND account_id IS NOT NULL
    AND (flag IS NOT NULL OR (granted = 0 AND kind IN ('top_up', 'deposit')))
ORDER BY made_at, id LIMIT :limit
"""

# Money that went back is looked for under every name of a payment.
DONATIONS_OF = """
SELECT p.provider, p.fact, COALESCE((SELECT SUM(v.cents) FROM payment_references r
    JOIN reversals v ON v.provider = r.provider AND v.reference = r.reference
    WHERE r.provider = p.provider AND r.payment_id = p.id AND v.counts), 0) AS gone
FROM payments p
WHERE p.account_id = :account_id AND p.kind = 'donation' AND p.status = 'paid' ORDER BY p.made_at, p.provider, p.id
"""

DONATIONS_SINCE = """
SELECT p.account_id, p.cents, COALESCE((SELECT SUM(v.cents) FROM payment_references r
    JOIN reversals v ON v.provider = r.provider AND v.reference = r.reference
    WHERE r.provider = p.provider AND r.payment_id = p.id AND v.counts), 0) AS gone
FROM payments p
WHERE p.kind = 'donation' AND p.status = 'paid' AND p.account_id IS NOT NULL AND p.made_at >= :since
"""

SET_NEXT = "UPDATE payments SET next_at = :next_at WHERE provider = :provider AND id = :id"

NOTE_CLICK = """
INSERT INTO donation_clicks (account_id, day, place) VALUES (:account_id, :day, :place) ON CONFLICT DO NOTHING
"""

CLICKED_SINCE = "SELECT COUNT(DISTINCT account_id) FROM donation_clicks WHERE day >= :day"

FORGET_CLICKS = "DELETE FROM donation_clicks WHERE day < :day"

SUBSCRIBED_TWICE = """
SELECT account_id, COUNT(*) AS plans FROM subscriptions
WHERE provider = :provider AND status IN ('active', 'past_due') AND account_id IS NOT NULL
GROUP BY account_id HAVING COUNT(*) > 1 ORDER BY account_id LIMIT :limit
"""

TEST_SUBSCRIPTIONS = """
SELECT account_id FROM subscriptions
WHERE provider = 'test' AND status = 'active' AND account_id IS NOT NULL ORDER BY id LIMIT 1000
"""
