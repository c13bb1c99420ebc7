"""Which workers there are, and whose turn each chore of the maintenance is."""

import sqlalchemy as sa
from alembic import op

revision: str = "0003_processes"
down_revision: str | None = "0002_provider_capacity"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Add both."""
    op.create_table(
        "workers",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.Column("running", sa.Integer(), nullable=False),
        sa.Column("draining", sa.Boolean(), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("seen_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_workers")),
    )
    op.create_table(
        "chores",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=True, comment="who is at it"),
        sa.Column("due_at", sa.Double(), nullable=False, comment="by the database's clock"),
        sa.Column("done_at", sa.Double(), nullable=True, comment="by the database's clock"),
        sa.Column("found", sa.BigInteger(), nullable=True, comment="what the last time brought"),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_chores")),
    )


def downgrade() -> None:
    """Take them away again."""
    op.drop_table("chores")
    op.drop_table("workers")
