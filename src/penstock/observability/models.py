"""The audit log: what operators did to accounts. Rows are written once, with what they tell of, and never changed."""

from sqlalchemy import BigInteger, Column, Double, Index, Integer, Table, Text

from penstock.kit.database import metadata

audit_entries = Table(
    "audit_entries",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("at", Double, nullable=False),
    Column("actor_id", Text, comment="the account of who did it; null: from the command line"),
    Column("actor", Text, nullable=False, comment="an e-mail address, or a user of the machine"),
    Column("action", Text, nullable=False),
    Column("account_id", Text, comment="to whom it was done"),
    Column("reason", Text),
    Column("details", Text, nullable=False, comment="JSON"),
    sqlite_autoincrement=True,
)
Index("ix_audit_entries_account", audit_entries.c.account_id, audit_entries.c.id)
