"""Permissions to send pictures straight to storage."""

import sqlalchemy as sa
from alembic import op

revision: str = "0004_upload_slips"
down_revision: str | None = "0003_processes"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Add the slips."""
    op.create_table(
        "upload_slips",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.Column("arrived_at", sa.Double(), nullable=True),
        sa.Column("taken_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_upload_slips")),
    )
    op.create_index("ix_upload_slips_account_expires", "upload_slips", ["account_id", "expires_at"])
    op.create_index("ix_upload_slips_expires", "upload_slips", ["expires_at"])


def downgrade() -> None:
    """Take them away again."""
    op.drop_table("upload_slips")
