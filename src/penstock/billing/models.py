"""What payment providers have told us: their webhooks as they came, and the facts that were in them.

Rows are keyed by provider and by the provider's own id, so that no fact of one provider is ever taken for another's.
"""

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, Double, Index, Integer, Table, Text, text

from penstock.kit.database import metadata

customers = Table(
    "customers",
    metadata,
    Column("provider", Text, primary_key=True),
    Column("id", Text, primary_key=True, comment="the provider's id"),
    Column("account_id", Text, nullable=False),
    Column("created_at", Double, nullable=False),
)
Index("ix_customers_account", customers.c.provider, customers.c.account_id, unique=True)

subscriptions = Table(
    "subscriptions",
    metadata,
    Column("provider", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("account_id", Text, comment="null: not known yet, or not ours"),
    Column("status", Text, nullable=False),
    Column("fact", Text, nullable=False, comment="JSON of the newest SubscriptionFact"),
    Column("review_at", Double, comment="when its grace is over"),
    CheckConstraint(
        "status IN ('pending', 'active', 'past_due', 'unpaid', 'paused', 'ended', 'never_began')", name="status"
    ),
)
Index("ix_subscriptions_account", subscriptions.c.account_id)
Index(
    "ix_subscriptions_review",
    subscriptions.c.review_at,
    sqlite_where=text("review_at IS NOT NULL"),
    postgresql_where=text("review_at IS NOT NULL"),
)

payments = Table(
    "payments",
    metadata,
    Column("provider", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("account_id", Text, comment="null: not known yet, or not ours"),
    Column("status", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("cents", BigInteger, nullable=False),
    Column("made_at", Double, nullable=False, comment="paid, or else first heard of"),
    Column("fact", Text, nullable=False, comment="JSON of the newest PaymentFact"),
    Column("granted", BigInteger, nullable=False, server_default="0", comment="credits granted for it so far"),
    Column("portions", Integer, nullable=False, server_default="0", comment="months granted for it so far"),
    Column("next_at", Double, comment="when its next month's credits come"),
    Column("clawed", BigInteger, nullable=False, server_default="0", comment="credits taken back, less given back"),
    Column("corrections", Integer, nullable=False, server_default="0", comment="times that was changed"),
    Column("flag", Text, comment="what a person should look at"),
    CheckConstraint("status IN ('open', 'failed', 'paid')", name="status"),
    CheckConstraint("clawed BETWEEN 0 AND granted", name="clawed"),
)
Index("ix_payments_account", payments.c.account_id, payments.c.made_at)
Index(
    "ix_payments_next",
    payments.c.next_at,
    sqlite_where=text("next_at IS NOT NULL"),
    postgresql_where=text("next_at IS NOT NULL"),
)

payment_references = Table(
    "payment_references",
    metadata,
    Column("provider", Text, primary_key=True),
    Column("reference", Text, primary_key=True),
    Column("payment_id", Text, nullable=False),
)
Index("ix_payment_references_payment", payment_references.c.provider, payment_references.c.payment_id)

reversals = Table(
    "reversals",
    metadata,
    Column("provider", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("reference", Text, nullable=False, comment="names the payment, perhaps before we know that one"),
    Column("kind", Text, nullable=False),
    Column("cents", BigInteger, nullable=False),
    Column("counts", Boolean, nullable=False, comment="the money is, or may be, gone"),
    Column("at", Double, nullable=False),
    CheckConstraint("kind IN ('refund', 'dispute')", name="kind"),
    CheckConstraint("cents >= 0", name="cents"),
)
Index("ix_reversals_reference", reversals.c.provider, reversals.c.reference)

webhook_events = Table(
    "webhook_events",
    metadata,
    Column("provider", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("type", Text, nullable=False),
    Column("happened_at", Double, nullable=False),
    Column("received_at", Double, nullable=False),
    Column("outcome", Text, nullable=False, comment="applied, ignored, failed"),
    Column("body", Text, nullable=False, comment="as it came"),
    CheckConstraint("outcome IN ('applied', 'ignored', 'failed')", name="outcome"),
)
Index("ix_webhook_events_received", webhook_events.c.received_at)

donation_clicks = Table(
    "donation_clicks",
    metadata,
    Column("account_id", Text, primary_key=True),
    Column("day", Integer, primary_key=True, comment="days since 1970 UTC"),
    Column("place", Text, primary_key=True),
)
Index("ix_donation_clicks_day", donation_clicks.c.day)
