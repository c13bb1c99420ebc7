"""The audit log: what operators did to accounts."""

import sqlalchemy as sa
from alembic import op

revision: str = "0014_audit"
down_revision: str | None = "0013_donations"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "audit_entries",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("actor_id", sa.Text(), comment="the account of who did it; null: from the command line"),
        sa.Column("actor", sa.Text(), nullable=False, comment="an e-mail address, or a user of the machine"),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), comment="to whom it was done"),
        sa.Column("reason", sa.Text()),
        sa.Column("details", sa.Text(), nullable=False, comment="JSON"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entries")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_audit_entries_account", "audit_entries", ["account_id", "id"], unique=False)


def downgrade() -> None:
    """Take it away again."""
    op.drop_table("audit_entries")
