"""What payment providers tell: customers, subscriptions, payments, what went back, and their webhooks as they came."""

import sqlalchemy as sa
from alembic import op

revision: str = "0006_payments"
down_revision: str | None = "0005_attempt_costs"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Add the tables of payments, and to lots what ended them."""
    op.add_column(
        "lots", sa.Column("closed_by", sa.Text(), nullable=True, comment="the source key of what forfeited it")
    )
    _customers()
    _subscriptions()
    _payments()
    _reversals()
    op.create_table(
        "webhook_events",
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("happened_at", sa.Double(), nullable=False),
        sa.Column("received_at", sa.Double(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False, comment="applied, ignored, failed"),
        sa.Column("body", sa.Text(), nullable=False, comment="as it came"),
        sa.CheckConstraint("outcome IN ('applied', 'ignored', 'failed')", name=op.f("ck_webhook_events_outcome")),
        sa.PrimaryKeyConstraint("provider", "id", name=op.f("pk_webhook_events")),
    )
    op.create_index("ix_webhook_events_received", "webhook_events", ["received_at"])


def _customers() -> None:
    op.create_table(
        "customers",
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False, comment="the provider's id"),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("provider", "id", name=op.f("pk_customers")),
    )
    op.create_index("ix_customers_account", "customers", ["provider", "account_id"], unique=True)


def _subscriptions() -> None:
    op.create_table(
        "subscriptions",
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=True, comment="null: not known yet, or not ours"),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("fact", sa.Text(), nullable=False, comment="JSON of the newest SubscriptionFact"),
        sa.Column("review_at", sa.Double(), nullable=True, comment="when its grace is over"),
        sa.CheckConstraint(
            "status IN ('pending', 'active', 'past_due', 'unpaid', 'paused', 'ended', 'never_began')",
            name=op.f("ck_subscriptions_status"),
        ),
        sa.PrimaryKeyConstraint("provider", "id", name=op.f("pk_subscriptions")),
    )
    op.create_index("ix_subscriptions_account", "subscriptions", ["account_id"])
    waiting = sa.text("review_at IS NOT NULL")
    op.create_index(
        "ix_subscriptions_review", "subscriptions", ["review_at"], sqlite_where=waiting, postgresql_where=waiting
    )


def _payments() -> None:
    op.create_table(
        "payments",
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=True, comment="null: not known yet, or not ours"),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("cents", sa.BigInteger(), nullable=False),
        sa.Column("made_at", sa.Double(), nullable=False, comment="paid, or else first heard of"),
        sa.Column("fact", sa.Text(), nullable=False, comment="JSON of the newest PaymentFact"),
        sa.Column(
            "granted", sa.BigInteger(), server_default="0", nullable=False, comment="credits granted for it so far"
        ),
        sa.Column("portions", sa.Integer(), server_default="0", nullable=False, comment="months granted for it so far"),
        sa.Column("next_at", sa.Double(), nullable=True, comment="when its next month's credits come"),
        sa.Column(
            "clawed", sa.BigInteger(), server_default="0", nullable=False, comment="credits taken back, less given back"
        ),
        sa.Column("corrections", sa.Integer(), server_default="0", nullable=False, comment="times that was changed"),
        sa.Column("flag", sa.Text(), nullable=True, comment="what a person should look at"),
        sa.CheckConstraint("status IN ('open', 'failed', 'paid')", name=op.f("ck_payments_status")),
        sa.CheckConstraint("clawed BETWEEN 0 AND granted", name=op.f("ck_payments_clawed")),
        sa.PrimaryKeyConstraint("provider", "id", name=op.f("pk_payments")),
    )
    op.create_index("ix_payments_account", "payments", ["account_id", "made_at"])
    waiting = sa.text("next_at IS NOT NULL")
    op.create_index("ix_payments_next", "payments", ["next_at"], sqlite_where=waiting, postgresql_where=waiting)


def _reversals() -> None:
    op.create_table(
        "payment_references",
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("payment_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("provider", "reference", name=op.f("pk_payment_references")),
    )
    op.create_index("ix_payment_references_payment", "payment_references", ["provider", "payment_id"])
    op.create_table(
        "reversals",
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False, comment="names the payment, perhaps before we know that one"),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("cents", sa.BigInteger(), nullable=False),
        sa.Column("counts", sa.Boolean(), nullable=False, comment="the money is, or may be, gone"),
        sa.Column("at", sa.Double(), nullable=False),
        sa.CheckConstraint("kind IN ('refund', 'dispute')", name=op.f("ck_reversals_kind")),
        sa.CheckConstraint("cents >= 0", name=op.f("ck_reversals_cents")),
        sa.PrimaryKeyConstraint("provider", "id", name=op.f("pk_reversals")),
    )
    op.create_index("ix_reversals_reference", "reversals", ["provider", "reference"])


def downgrade() -> None:
    """Take them away again."""
    for table in ("webhook_events", "reversals", "payment_references", "payments", "subscriptions", "customers"):
        op.drop_table(table)
    op.drop_column("lots", "closed_by")
