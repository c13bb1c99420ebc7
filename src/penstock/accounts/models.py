"""The tables of accounts. No credential stands in them, only digests and argon2 hashes."""

from sqlalchemy import Boolean, CheckConstraint, Column, Double, ForeignKey, Index, Integer, Table, Text, text

from penstock.kit.database import metadata

accounts = Table(
    "accounts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("email", Text, unique=True, comment="normalised; null for visitors"),
    Column("password_hash", Text),
    Column("role", Text, nullable=False, server_default="customer"),
    Column("plan", Text, nullable=False),
    Column("plan_renews_at", Double),
    Column("visitor", Boolean, nullable=False, server_default=text("false")),
    Column("visitor_digest", Text, unique=True, comment="of the visitor's cookie; null once registered"),
    Column("preferences", Text, nullable=False, server_default="{}", comment="JSON object"),
    Column("created_at", Double, nullable=False),
    Column("registered_at", Double, comment="when it got its e-mail address"),
    Column("block_reason", Text, comment="for the customer; an account with one is blocked until blocked_until"),
    Column("blocked_until", Double, comment="null with a reason: for good"),
    Column("verified_at", Double, comment="when a link that was sent to the address came back"),
    Column("limit_running", Integer, comment="in place of the plan's, as the two below"),
    Column("limit_jobs_per_hour", Integer),
    Column("limit_jobs_per_day", Integer),
    CheckConstraint("role IN ('customer', 'support', 'admin')", name="role"),
    CheckConstraint("NOT visitor OR email IS NULL", name="visitor"),
    CheckConstraint("visitor = (visitor_digest IS NOT NULL)", name="visitor_digest"),
)
Index(
    "ix_accounts_renews",
    accounts.c.plan_renews_at,
    sqlite_where=text("plan_renews_at IS NOT NULL"),
    postgresql_where=text("plan_renews_at IS NOT NULL"),
)

# One row for each refresh token; those that followed from one sign-in are a family, which is the session.
sessions = Table(
    "sessions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("account_id", Text, ForeignKey("accounts.id"), nullable=False),
    Column("family", Text, nullable=False),
    Column("token_hash", Text, nullable=False, unique=True),
    Column("agent", Text, nullable=False, comment="a label such as `Firefox on Linux`"),
    Column("started_at", Double, nullable=False, comment="when the customer signed in"),
    Column("issued_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("used_at", Double, comment="when it was exchanged for its successor"),
    Column("revoked_at", Double),
)
Index("ix_sessions_family", sessions.c.family, sessions.c.used_at)
Index("ix_sessions_account", sessions.c.account_id)
Index("ix_sessions_expiry", sessions.c.expires_at)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("account_id", Text, ForeignKey("accounts.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("prefix", Text, nullable=False),
    Column("last4", Text, nullable=False),
    Column("digest", Text, nullable=False, unique=True),
    Column("scopes", Text, nullable=False, comment="separated by spaces, sorted"),
    Column("created_at", Double, nullable=False),
    Column("last_used_at", Double),
    Column("revoked_at", Double),
)
Index("ix_api_keys_account", api_keys.c.account_id)

# Links that were sent by mail, by their digests; a row is gone or used once its link is of no more use.
proofs = Table(
    "proofs",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("account_id", Text, ForeignKey("accounts.id"), nullable=False),
    Column("purpose", Text, nullable=False),
    Column("email", Text, nullable=False, comment="where it was sent: it proves nothing about another address"),
    Column("expires_at", Double, nullable=False),
    CheckConstraint("purpose IN ('verify', 'reset')", name="purpose"),
)
Index("ix_proofs_account", proofs.c.account_id, proofs.c.purpose)
Index("ix_proofs_expiry", proofs.c.expires_at)

# Who an account is at issuers: OpenID providers, Clerk, Auth0.
identities = Table(
    "identities",
    metadata,
    Column("issuer", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("account_id", Text, ForeignKey("accounts.id"), nullable=False),
    Column("created_at", Double, nullable=False),
)
Index("ix_identities_account", identities.c.account_id)

# Who has been sent to an OpenID provider and is not back yet; a row is gone once its browser is back.
sign_ins = Table(
    "sign_ins",
    metadata,
    Column("digest", Text, primary_key=True, comment="of the browser's cookie"),
    Column("provider", Text, nullable=False, comment="its name in the product file"),
    Column("next_path", Text, nullable=False, comment="where the browser goes afterwards, within this site"),
    Column("expires_at", Double, nullable=False),
)
Index("ix_sign_ins_expiry", sign_ins.c.expires_at)
