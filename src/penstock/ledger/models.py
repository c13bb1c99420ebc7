"""The ledger's tables.

A wallet is one customer's balance and at the same time the lock that every change of that customer's credits and
queue takes first. Lots say where credits came from and when they go; holds remember the lots they took from;
transfers are the append-only book: each moves an amount from one account of the book to another, so that every
transaction sums to zero by its shape.
"""

from sqlalchemy import BigInteger, CheckConstraint, Column, Double, ForeignKey, Index, Integer, Table, Text, text

from penstock.kit.database import metadata

wallets = Table(
    "wallets",
    metadata,
    Column("account_id", Text, primary_key=True),
    Column("available", BigInteger, nullable=False, server_default="0"),
    Column("held", BigInteger, nullable=False, server_default="0"),
    Column("debt", BigInteger, nullable=False, server_default="0"),
    Column("epoch", Integer, nullable=False, server_default="0", comment="grows when everything is forfeited"),
    CheckConstraint("available >= 0", name="available"),
    CheckConstraint("held >= 0", name="held"),
    CheckConstraint("debt >= 0", name="debt"),
)

lots = Table(
    "lots",
    metadata,
    Column("id", Text, primary_key=True),
    Column("account_id", Text, ForeignKey("wallets.account_id"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("priority", Integer, nullable=False, comment="lower is spent first"),
    Column("granted", BigInteger, nullable=False),
    Column("remaining", BigInteger, nullable=False),
    Column("expires_at", Double),
    Column("source_key", Text, nullable=False, unique=True, comment="what was paid for: never granted twice"),
    Column("closed_at", Double),
    Column("closed_as", Text, comment="forfeited, expired"),
    Column("created_at", Double, nullable=False, comment="when it was acquired"),
    Column("closed_by", Text, comment="the source key of what forfeited it"),
    CheckConstraint("kind IN ('plan', 'top_up', 'gift', 'deposit')", name="kind"),
    CheckConstraint("granted > 0 AND remaining BETWEEN 0 AND granted", name="remaining"),
    CheckConstraint("closed_at IS NULL OR remaining = 0", name="closed"),
)
Index(
    "ix_lots_burn",
    lots.c.account_id,
    lots.c.priority,
    sqlite_where=text("closed_at IS NULL"),
    postgresql_where=text("closed_at IS NULL"),
)
Index(
    "ix_lots_expiry",
    lots.c.expires_at,
    sqlite_where=text("closed_at IS NULL AND expires_at IS NOT NULL"),
    postgresql_where=text("closed_at IS NULL AND expires_at IS NOT NULL"),
)

holds = Table(
    "holds",
    metadata,
    Column("job_id", Text, primary_key=True),
    Column("account_id", Text, ForeignKey("wallets.account_id"), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("state", Text, nullable=False, server_default="open"),
    Column("captured", BigInteger, nullable=False, server_default="0"),
    Column("created_at", Double, nullable=False),
    CheckConstraint("amount > 0 AND captured BETWEEN 0 AND amount", name="amount"),
    CheckConstraint("state IN ('open', 'captured', 'released')", name="state"),
)
Index("ix_holds_open", holds.c.account_id, sqlite_where=text("state = 'open'"), postgresql_where=text("state = 'open'"))

hold_lots = Table(
    "hold_lots",
    metadata,
    Column("job_id", Text, ForeignKey("holds.job_id"), primary_key=True),
    Column("lot_id", Text, ForeignKey("lots.id"), primary_key=True),
    Column("amount", BigInteger, nullable=False),
    CheckConstraint("amount > 0", name="amount"),
)

forfeits = Table(
    "forfeits",
    metadata,
    Column("source_key", Text, primary_key=True, comment="what took the credits away: it takes them once"),
    Column("account_id", Text, ForeignKey("wallets.account_id"), nullable=False),
    Column("lost", BigInteger, nullable=False),
    Column("created_at", Double, nullable=False),
    CheckConstraint("lost >= 0", name="lost"),
)

transfers = Table(
    "transfers",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("account_id", Text, nullable=False, comment="whose wallet it belongs to"),
    Column("kind", Text, nullable=False),
    Column("debit", Text, nullable=False, comment="account of the book that gives"),
    Column("credit", Text, nullable=False, comment="account of the book that gets"),
    Column("amount", BigInteger, nullable=False),
    Column("lot_id", Text),
    Column("job_id", Text),
    Column("reason", Text, nullable=False),
    Column("key", Text, nullable=False, unique=True, comment="the same change can't be written twice"),
    Column("created_at", Double, nullable=False),
    CheckConstraint("amount > 0 AND debit <> credit", name="amount"),
)
Index("ix_transfers_account", transfers.c.account_id, transfers.c.id)
