"""The statements of accounts."""

from penstock.kit.database import Variants

# Accounts

INSERT_ACCOUNT = """
INSERT INTO accounts (id, email, password_hash, role, plan, visitor, created_at, registered_at)
VALUES (:id, :email, :password_hash, :role, :plan, false, :now, :now)
ON CONFLICT (email) DO NOTHING
"""

INSERT_VISITOR = """
INSERT INTO accounts (id, plan, visitor, visitor_digest, created_at)
VALUES (:id, :plan, true, :digest, :now)
"""

UPGRADE_VISITOR = """
UPDATE accounts
SET email = :email, password_hash = :password_hash, plan = :plan, visitor = false, visitor_digest = NULL,
    registered_at = :now
WHERE visitor_digest = :digest AND visitor
  AND NOT EXISTS (SELECT 1 FROM accounts AS other WHERE other.email = :email)
RETURNING id
"""

ACCOUNT = """
SELECT id, email, role, plan, plan_renews_at, visitor, preferences, created_at, block_reason, blocked_until, verified_at
FROM accounts WHERE id = :id
"""

ACCOUNT_BY_EMAIL = """
SELECT id, email, role, plan, plan_renews_at, visitor, preferences, created_at, block_reason, blocked_until, verified_at
FROM accounts WHERE email = :email
"""

HASH_BY_EMAIL = "SELECT id, password_hash FROM accounts WHERE email = :email"

# Guarded by the old hash: a password that was changed in between stays changed.
REHASH = "UPDATE accounts SET password_hash = :new WHERE id = :id AND password_hash = :old"

# Locked, or the password might be changed, and every session ended, just before this sign-in begins one.
HASH_IS: Variants = {
    "sqlite": "SELECT 1 FROM accounts WHERE id = :id AND password_hash = :hash",
    "postgresql": "SELECT 1 FROM accounts WHERE id = :id AND password_hash = :hash FOR NO KEY UPDATE",
}

SET_HASH = "UPDATE accounts SET password_hash = :password_hash WHERE id = :id"

SET_ROLE = "UPDATE accounts SET role = :role WHERE id = :id"

SET_PLAN = "UPDATE accounts SET plan = :plan, plan_renews_at = :renews_at WHERE id = :id"

SET_BLOCK = "UPDATE accounts SET block_reason = :reason, blocked_until = :until WHERE id = :id"

# Guarded by the old text: of two changes at once, one is told to try again, none is lost.
SET_PREFERENCES = "UPDATE accounts SET preferences = :new WHERE id = :id AND preferences = :old"

OWN_LIMITS = """
SELECT limit_running AS running, limit_jobs_per_hour AS jobs_per_hour, limit_jobs_per_day AS jobs_per_day
FROM accounts WHERE id = :id
"""

SET_LIMITS = """
UPDATE accounts
SET limit_running = :running, limit_jobs_per_hour = :jobs_per_hour, limit_jobs_per_day = :jobs_per_day
WHERE id = :id
"""

# Who calls: one read for each kind of credential

CALLER_BY_SESSION = """
SELECT id, email, role, plan, visitor, block_reason, blocked_until FROM accounts
WHERE id = :account_id AND EXISTS (
  SELECT 1 FROM sessions
  WHERE family = :family AND used_at IS NULL AND account_id = :account_id AND revoked_at IS NULL
)
"""

CALLER_BY_VISITOR = """
SELECT id, email, role, plan, visitor, block_reason, blocked_until FROM accounts
WHERE visitor_digest = :digest AND visitor
"""

CALLER_BY_IDENTITY = """
SELECT accounts.id, email, role, plan, visitor, block_reason, blocked_until
FROM identities JOIN accounts ON accounts.id = identities.account_id
WHERE issuer = :issuer AND subject = :subject
"""

CALLER_BY_KEY = """
SELECT accounts.id, email, role, plan, visitor, block_reason, blocked_until,
       api_keys.id AS key_id, scopes, last_used_at
FROM api_keys JOIN accounts ON accounts.id = api_keys.account_id
WHERE digest = :digest AND revoked_at IS NULL
"""

# Sessions

INSERT_SESSION = """
INSERT INTO sessions (id, account_id, family, token_hash, agent, started_at, issued_at, expires_at)
VALUES (:id, :account_id, :family, :token_hash, :agent, :started_at, :now, :expires_at)
"""

# Of two exchanges at once exactly one gets the row.
EXCHANGE = """
UPDATE sessions SET used_at = :now
WHERE token_hash = :token_hash AND used_at IS NULL AND revoked_at IS NULL AND expires_at > :now
RETURNING account_id, family, agent, started_at
"""

SESSION_BY_DIGEST = "SELECT account_id, family, used_at, revoked_at FROM sessions WHERE token_hash = :token_hash"

# Both are repeated until they find nothing: a token may be exchanged for its successor while they run.
REVOKE_FAMILY = "UPDATE sessions SET revoked_at = :now WHERE family = :family AND revoked_at IS NULL"

REVOKE_ACCOUNT_SESSIONS = "UPDATE sessions SET revoked_at = :now WHERE account_id = :account_id AND revoked_at IS NULL"

DELETE_EXPIRED_SESSIONS = """
DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE expires_at <= :now LIMIT :rows)
"""

# API keys

# Counts inside the insert: exact while nobody else adds one.
INSERT_KEY = """
INSERT INTO api_keys (id, account_id, name, prefix, last4, digest, scopes, created_at)
SELECT :id, :account_id, :name, :prefix, :last4, :digest, :scopes, CAST(:now AS DOUBLE PRECISION)
WHERE (SELECT count(*) FROM api_keys WHERE account_id = :account_id AND revoked_at IS NULL) < :most
"""

KEYS = """
SELECT id, name, prefix, last4, scopes, created_at, last_used_at FROM api_keys
WHERE account_id = :account_id AND revoked_at IS NULL ORDER BY created_at DESC, id DESC LIMIT :most
"""

REVOKE_KEY = "UPDATE api_keys SET revoked_at = :now WHERE id = :id AND account_id = :account_id AND revoked_at IS NULL"

REVOKE_KEYS = "UPDATE api_keys SET revoked_at = :now WHERE account_id = :account_id AND revoked_at IS NULL"

TOUCH_KEY = """
UPDATE api_keys SET last_used_at = :now WHERE id = :id AND (last_used_at IS NULL OR last_used_at <= :before)
"""

# Links by mail

SET_VERIFIED = "UPDATE accounts SET verified_at = :now WHERE id = :id AND verified_at IS NULL"

INSERT_PROOF = """
INSERT INTO proofs (digest, account_id, purpose, email, expires_at)
VALUES (:digest, :account_id, :purpose, :email, :expires_at)
"""

PROOF = """
SELECT p.email FROM proofs p JOIN accounts a ON a.id = p.account_id AND a.email = p.email
WHERE p.digest = :digest AND p.purpose = :purpose AND p.expires_at > :now
"""

# Of two uses at once exactly one gets the row.
USE_PROOF = """
DELETE FROM proofs WHERE digest = :digest AND purpose = :purpose AND expires_at > :now
    AND EXISTS (SELECT 1 FROM accounts WHERE accounts.id = proofs.account_id AND accounts.email = proofs.email)
RETURNING account_id
"""

END_PROOFS = "DELETE FROM proofs WHERE account_id = :account_id AND purpose = :purpose"

SWEEP_PROOFS = """
DELETE FROM proofs WHERE digest IN (SELECT digest FROM proofs WHERE expires_at <= :now LIMIT :rows)
"""

# Identities

IDENTITY = "SELECT account_id FROM identities WHERE issuer = :issuer AND subject = :subject"

INSERT_IDENTITY = """
INSERT INTO identities (issuer, subject, account_id, created_at) VALUES (:issuer, :subject, :account_id, :now)
"""

INSERT_SIGN_IN = """
INSERT INTO sign_ins (digest, provider, next_path, expires_at) VALUES (:digest, :provider, :next_path, :expires_at)
"""

# Of two that come back at once exactly one gets the row.
USE_SIGN_IN = """
DELETE FROM sign_ins WHERE digest = :digest RETURNING provider, next_path, expires_at
"""

SWEEP_SIGN_INS = """
DELETE FROM sign_ins WHERE digest IN (SELECT digest FROM sign_ins WHERE expires_at <= :now LIMIT :rows)
"""
