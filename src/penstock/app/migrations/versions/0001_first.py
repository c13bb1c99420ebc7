"""The tables of the first release."""

import sqlalchemy as sa
from alembic import op

revision: str = "0001_first"
down_revision: str | None = None
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Make every table."""
    op.create_table(
        "accounts",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=True, comment="normalised; null for visitors"),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("role", sa.Text(), server_default="customer", nullable=False),
        sa.Column("plan", sa.Text(), nullable=False),
        sa.Column("plan_renews_at", sa.Double(), nullable=True),
        sa.Column("visitor", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("visitor_digest", sa.Text(), nullable=True, comment="of the visitor's cookie; null once registered"),
        sa.Column("preferences", sa.Text(), server_default="{}", nullable=False, comment="JSON object"),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("registered_at", sa.Double(), nullable=True, comment="when it got its e-mail address"),
        sa.Column(
            "block_reason",
            sa.Text(),
            nullable=True,
            comment="for the customer; an account with one is blocked until blocked_until",
        ),
        sa.Column("blocked_until", sa.Double(), nullable=True, comment="null with a reason: for good"),
        sa.CheckConstraint("role IN ('customer', 'support', 'admin')", name=op.f("ck_accounts_role")),
        sa.CheckConstraint("NOT visitor OR email IS NULL", name=op.f("ck_accounts_visitor")),
        sa.CheckConstraint("visitor = (visitor_digest IS NOT NULL)", name=op.f("ck_accounts_visitor_digest")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts")),
        sa.UniqueConstraint("email", name=op.f("uq_accounts_email")),
        sa.UniqueConstraint("visitor_digest", name=op.f("uq_accounts_visitor_digest")),
    )
    op.create_index(
        "ix_accounts_renews",
        "accounts",
        ["plan_renews_at"],
        unique=False,
        sqlite_where=sa.text("plan_renews_at IS NOT NULL"),
        postgresql_where=sa.text("plan_renews_at IS NOT NULL"),
    )
    op.create_table(
        "events",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False, comment="JSON"),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_events_account", "events", ["account_id", "id"], unique=False)
    op.create_table(
        "files",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("keep_until", sa.Double(), nullable=True),
        sa.CheckConstraint("state IN ('pending', 'kept', 'doomed')", name=op.f("ck_files_state")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_files")),
    )
    op.create_index("ix_files_owner", "files", ["owner"], unique=False)
    op.create_index(
        "ix_files_unkept",
        "files",
        ["state", "keep_until"],
        unique=False,
        sqlite_where=sa.text("state != 'kept'"),
        postgresql_where=sa.text("state != 'kept'"),
    )
    op.create_table(
        "jobs",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("plan", sa.Text(), nullable=False),
        sa.Column("product_version", sa.Text(), nullable=False),
        sa.Column("price", sa.BigInteger(), nullable=False, comment="credits held at submit"),
        sa.Column("inputs", sa.Text(), nullable=False, comment="JSON"),
        sa.Column("options", sa.Text(), nullable=False, comment="JSON"),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("rank", sa.Double(), nullable=False, comment="lower goes first; fixed at submit"),
        sa.Column("run_at", sa.Double(), nullable=False, comment="not before this moment (retries)"),
        sa.Column("fence", sa.Integer(), server_default="0", nullable=False, comment="grows with each claim"),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.Column("lease_until", sa.Double(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("cancel_requested", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("stage", sa.Text(), nullable=True),
        sa.Column("progress", sa.Double(), nullable=True),
        sa.Column(
            "predicted_wait_s",
            sa.Double(),
            nullable=True,
            comment="what was expected at submit; only for a sample, to learn from",
        ),
        sa.Column("provider", sa.Text(), nullable=True),
        sa.Column("output", sa.Text(), nullable=True, comment="JSON"),
        sa.Column("error", sa.Text(), nullable=True, comment="JSON, for the customer"),
        sa.Column("result_id", sa.Text(), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=True),
        sa.Column("finished_at", sa.Double(), nullable=True),
        sa.CheckConstraint("(state = 'running') = (lease_until IS NOT NULL)", name=op.f("ck_jobs_lease")),
        sa.CheckConstraint(
            "state IN ('waiting', 'ready', 'running', 'succeeded', 'failed', 'cancelled', 'expired')",
            name=op.f("ck_jobs_state"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
    )
    op.create_index("ix_jobs_account", "jobs", ["account_id", "created_at"], unique=False)
    op.create_index(
        "ix_jobs_active_of",
        "jobs",
        ["account_id"],
        unique=False,
        sqlite_where=sa.text("state IN ('ready', 'running')"),
        postgresql_where=sa.text("state IN ('ready', 'running')"),
    )
    op.create_index(
        "ix_jobs_leases",
        "jobs",
        ["lease_until"],
        unique=False,
        sqlite_where=sa.text("state = 'running'"),
        postgresql_where=sa.text("state = 'running'"),
    )
    op.create_index(
        "ix_jobs_queued",
        "jobs",
        ["rank"],
        unique=False,
        sqlite_where=sa.text("state IN ('waiting', 'ready')"),
        postgresql_where=sa.text("state IN ('waiting', 'ready')"),
    )
    op.create_index(
        "ix_jobs_queued_of",
        "jobs",
        ["account_id", "rank"],
        unique=False,
        sqlite_where=sa.text("state IN ('waiting', 'ready')"),
        postgresql_where=sa.text("state IN ('waiting', 'ready')"),
    )
    op.create_index(
        "ix_jobs_ready",
        "jobs",
        ["rank", "run_at"],
        unique=False,
        sqlite_where=sa.text("state = 'ready'"),
        postgresql_where=sa.text("state = 'ready'"),
    )
    op.create_index(
        "ix_jobs_sampled",
        "jobs",
        ["started_at"],
        unique=False,
        sqlite_where=sa.text("predicted_wait_s IS NOT NULL AND started_at IS NOT NULL"),
        postgresql_where=sa.text("predicted_wait_s IS NOT NULL AND started_at IS NOT NULL"),
    )
    op.create_table(
        "product_versions",
        sa.Column("version", sa.Text(), nullable=False, comment="the beginning of the SHA-256 of `text`"),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_product_versions")),
    )
    op.create_table(
        "results",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("variants", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=True),
        sa.Column("deleted_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_results")),
        sa.UniqueConstraint("job_id", name=op.f("uq_results_job_id")),
    )
    op.create_index("ix_results_account_created", "results", ["account_id", "created_at"], unique=False)
    op.create_index(
        "ix_results_expires",
        "results",
        ["expires_at"],
        unique=False,
        sqlite_where=sa.text("expires_at IS NOT NULL AND deleted_at IS NULL"),
        postgresql_where=sa.text("expires_at IS NOT NULL AND deleted_at IS NULL"),
    )
    op.create_table(
        "transfers",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False, comment="whose wallet it belongs to"),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("debit", sa.Text(), nullable=False, comment="account of the book that gives"),
        sa.Column("credit", sa.Text(), nullable=False, comment="account of the book that gets"),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("lot_id", sa.Text(), nullable=True),
        sa.Column("job_id", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False, comment="the same change can't be written twice"),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.CheckConstraint("amount > 0 AND debit <> credit", name=op.f("ck_transfers_amount")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_transfers")),
        sa.UniqueConstraint("key", name=op.f("uq_transfers_key")),
    )
    op.create_index("ix_transfers_account", "transfers", ["account_id", "id"], unique=False)
    op.create_table(
        "uploads",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("corners", sa.Text(), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_uploads")),
    )
    op.create_index("ix_uploads_account_expires", "uploads", ["account_id", "expires_at"], unique=False)
    op.create_index("ix_uploads_expires", "uploads", ["expires_at"], unique=False)
    op.create_table(
        "wallets",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("available", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("held", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("debt", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column(
            "epoch", sa.Integer(), server_default="0", nullable=False, comment="grows when everything is forfeited"
        ),
        sa.CheckConstraint("available >= 0", name=op.f("ck_wallets_available")),
        sa.CheckConstraint("debt >= 0", name=op.f("ck_wallets_debt")),
        sa.CheckConstraint("held >= 0", name=op.f("ck_wallets_held")),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_wallets")),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("last4", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False, comment="separated by spaces, sorted"),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("last_used_at", sa.Double(), nullable=True),
        sa.Column("revoked_at", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_api_keys_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("digest", name=op.f("uq_api_keys_digest")),
    )
    op.create_index("ix_api_keys_account", "api_keys", ["account_id"], unique=False)
    op.create_table(
        "attempts",
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False, comment="the fence of the claim"),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=True, comment="the provider's id of the work"),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True, comment="for operators"),
        sa.Column("cost_microdollars", sa.BigInteger(), nullable=True),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("finished_at", sa.Double(), nullable=True),
        sa.CheckConstraint("state IN ('sending', 'submitted', 'finished', 'failed')", name=op.f("ck_attempts_state")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_attempts_job_id")),
        sa.PrimaryKeyConstraint("job_id", "number", "provider", name=op.f("pk_attempts")),
    )
    op.create_table(
        "forfeits",
        sa.Column("source_key", sa.Text(), nullable=False, comment="what took the credits away: it takes them once"),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("lost", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.CheckConstraint("lost >= 0", name=op.f("ck_forfeits_lost")),
        sa.ForeignKeyConstraint(["account_id"], ["wallets.account_id"], name=op.f("fk_forfeits_account_id")),
        sa.PrimaryKeyConstraint("source_key", name=op.f("pk_forfeits")),
    )
    op.create_table(
        "holds",
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), server_default="open", nullable=False),
        sa.Column("captured", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.CheckConstraint("state IN ('open', 'captured', 'released')", name=op.f("ck_holds_state")),
        sa.CheckConstraint("amount > 0 AND captured BETWEEN 0 AND amount", name=op.f("ck_holds_amount")),
        sa.ForeignKeyConstraint(["account_id"], ["wallets.account_id"], name=op.f("fk_holds_account_id")),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_holds")),
    )
    op.create_index(
        "ix_holds_open",
        "holds",
        ["account_id"],
        unique=False,
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_table(
        "idempotency",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False, comment="SHA-256 of the request"),
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_idempotency_job_id")),
        sa.PrimaryKeyConstraint("account_id", "key", name=op.f("pk_idempotency")),
    )
    op.create_index("ix_idempotency_age", "idempotency", ["created_at"], unique=False)
    op.create_table(
        "lots",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False, comment="lower is spent first"),
        sa.Column("granted", sa.BigInteger(), nullable=False),
        sa.Column("remaining", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=True),
        sa.Column("source_key", sa.Text(), nullable=False, comment="what was paid for: never granted twice"),
        sa.Column("closed_at", sa.Double(), nullable=True),
        sa.Column("closed_as", sa.Text(), nullable=True, comment="forfeited, expired"),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.CheckConstraint("kind IN ('plan', 'top_up', 'gift', 'deposit')", name=op.f("ck_lots_kind")),
        sa.CheckConstraint("closed_at IS NULL OR remaining = 0", name=op.f("ck_lots_closed")),
        sa.CheckConstraint("granted > 0 AND remaining BETWEEN 0 AND granted", name=op.f("ck_lots_remaining")),
        sa.ForeignKeyConstraint(["account_id"], ["wallets.account_id"], name=op.f("fk_lots_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lots")),
        sa.UniqueConstraint("source_key", name=op.f("uq_lots_source_key")),
    )
    op.create_index(
        "ix_lots_burn",
        "lots",
        ["account_id", "priority"],
        unique=False,
        sqlite_where=sa.text("closed_at IS NULL"),
        postgresql_where=sa.text("closed_at IS NULL"),
    )
    op.create_index(
        "ix_lots_expiry",
        "lots",
        ["expires_at"],
        unique=False,
        sqlite_where=sa.text("closed_at IS NULL AND expires_at IS NOT NULL"),
        postgresql_where=sa.text("closed_at IS NULL AND expires_at IS NOT NULL"),
    )
    op.create_table(
        "sessions",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("family", sa.Text(), nullable=False),
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False, comment="a label such as `Firefox on Linux`"),
        sa.Column("started_at", sa.Double(), nullable=False, comment="when the customer signed in"),
        sa.Column("issued_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.Column("used_at", sa.Double(), nullable=True, comment="when it was exchanged for its successor"),
        sa.Column("revoked_at", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_sessions_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_sessions_token_hash")),
    )
    op.create_index("ix_sessions_account", "sessions", ["account_id"], unique=False)
    op.create_index("ix_sessions_expiry", "sessions", ["expires_at"], unique=False)
    op.create_index("ix_sessions_family", "sessions", ["family", "used_at"], unique=False)
    op.create_table(
        "hold_lots",
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("lot_id", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("amount > 0", name=op.f("ck_hold_lots_amount")),
        sa.ForeignKeyConstraint(["job_id"], ["holds.job_id"], name=op.f("fk_hold_lots_job_id")),
        sa.ForeignKeyConstraint(["lot_id"], ["lots.id"], name=op.f("fk_hold_lots_lot_id")),
        sa.PrimaryKeyConstraint("job_id", "lot_id", name=op.f("pk_hold_lots")),
    )


def downgrade() -> None:
    """Drop every table."""
    op.drop_table("hold_lots")
    op.drop_index("ix_sessions_family", table_name="sessions")
    op.drop_index("ix_sessions_expiry", table_name="sessions")
    op.drop_index("ix_sessions_account", table_name="sessions")
    op.drop_table("sessions")
    op.drop_index(
        "ix_lots_expiry",
        table_name="lots",
        sqlite_where=sa.text("closed_at IS NULL AND expires_at IS NOT NULL"),
        postgresql_where=sa.text("closed_at IS NULL AND expires_at IS NOT NULL"),
    )
    op.drop_index(
        "ix_lots_burn",
        table_name="lots",
        sqlite_where=sa.text("closed_at IS NULL"),
        postgresql_where=sa.text("closed_at IS NULL"),
    )
    op.drop_table("lots")
    op.drop_index("ix_idempotency_age", table_name="idempotency")
    op.drop_table("idempotency")
    op.drop_index(
        "ix_holds_open",
        table_name="holds",
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )
    op.drop_table("holds")
    op.drop_table("forfeits")
    op.drop_table("attempts")
    op.drop_index("ix_api_keys_account", table_name="api_keys")
    op.drop_table("api_keys")
    op.drop_table("wallets")
    op.drop_index("ix_uploads_expires", table_name="uploads")
    op.drop_index("ix_uploads_account_expires", table_name="uploads")
    op.drop_table("uploads")
    op.drop_index("ix_transfers_account", table_name="transfers")
    op.drop_table("transfers")
    op.drop_index(
        "ix_results_expires",
        table_name="results",
        sqlite_where=sa.text("expires_at IS NOT NULL AND deleted_at IS NULL"),
        postgresql_where=sa.text("expires_at IS NOT NULL AND deleted_at IS NULL"),
    )
    op.drop_index("ix_results_account_created", table_name="results")
    op.drop_table("results")
    op.drop_table("product_versions")
    op.drop_index(
        "ix_jobs_sampled",
        table_name="jobs",
        sqlite_where=sa.text("predicted_wait_s IS NOT NULL AND started_at IS NOT NULL"),
        postgresql_where=sa.text("predicted_wait_s IS NOT NULL AND started_at IS NOT NULL"),
    )
    op.drop_index(
        "ix_jobs_ready",
        table_name="jobs",
        sqlite_where=sa.text("state = 'ready'"),
        postgresql_where=sa.text("state = 'ready'"),
    )
    op.drop_index(
        "ix_jobs_queued_of",
        table_name="jobs",
        sqlite_where=sa.text("state IN ('waiting', 'ready')"),
        postgresql_where=sa.text("state IN ('waiting', 'ready')"),
    )
    op.drop_index(
        "ix_jobs_queued",
        table_name="jobs",
        sqlite_where=sa.text("state IN ('waiting', 'ready')"),
        postgresql_where=sa.text("state IN ('waiting', 'ready')"),
    )
    op.drop_index(
        "ix_jobs_leases",
        table_name="jobs",
        sqlite_where=sa.text("state = 'running'"),
        postgresql_where=sa.text("state = 'running'"),
    )
    op.drop_index(
        "ix_jobs_active_of",
        table_name="jobs",
        sqlite_where=sa.text("state IN ('ready', 'running')"),
        postgresql_where=sa.text("state IN ('ready', 'running')"),
    )
    op.drop_index("ix_jobs_account", table_name="jobs")
    op.drop_table("jobs")
    op.drop_index(
        "ix_files_unkept",
        table_name="files",
        sqlite_where=sa.text("state != 'kept'"),
        postgresql_where=sa.text("state != 'kept'"),
    )
    op.drop_index("ix_files_owner", table_name="files")
    op.drop_table("files")
    op.drop_index("ix_events_account", table_name="events")
    op.drop_table("events")
    op.drop_index(
        "ix_accounts_renews",
        table_name="accounts",
        sqlite_where=sa.text("plan_renews_at IS NOT NULL"),
        postgresql_where=sa.text("plan_renews_at IS NOT NULL"),
    )
    op.drop_table("accounts")
