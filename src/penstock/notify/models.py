"""Events: an append-only list whose growing id lets a listener resume where it left off. And letters to be sent."""

from sqlalchemy import BigInteger, Column, Double, Index, Integer, Table, Text, text

from penstock.kit.database import metadata

events = Table(
    "events",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("account_id", Text, nullable=False),
    Column("job_id", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("data", Text, nullable=False, comment="JSON"),
    Column("created_at", Double, nullable=False),
    sqlite_autoincrement=True,  # an id is never used again, even after the newest events were cleaned up
)
Index("ix_events_account", events.c.account_id, events.c.id)

letters = Table(
    "letters",
    metadata,
    Column("id", Text, primary_key=True),
    Column("recipient", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("text", Text, nullable=False, comment="erased once it is of no more use"),
    Column("created_at", Double, nullable=False),
    Column("send_at", Double, comment="when it is tried next; null: sent or given up"),
    Column("sent_at", Double),
    Column("tries", Integer, nullable=False, server_default="0"),
)
Index(
    "ix_letters_due",
    letters.c.send_at,
    sqlite_where=text("send_at IS NOT NULL"),
    postgresql_where=text("send_at IS NOT NULL"),
)
