"""What providers may be asked, counted over all processes."""

import sqlalchemy as sa
from alembic import op

revision: str = "0002_provider_capacity"
down_revision: str | None = "0001_first"
branch_labels: str | None = None
depends_on: str | None = None

READY = sa.text("state = 'ready'")
OPEN = sa.text("done_at IS NULL")


def upgrade() -> None:
    """Add the reservations, and the operation to the index that claims read."""
    op.drop_index("ix_jobs_ready", table_name="jobs")
    op.create_index(
        "ix_jobs_ready", "jobs", ["rank", "run_at", "operation"], sqlite_where=READY, postgresql_where=READY
    )
    op.create_table(
        "reservations",
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("taken_at", sa.Double(), nullable=False),
        sa.Column("tokens", sa.BigInteger(), nullable=False, comment="expected, then used"),
        sa.Column("measured", sa.Boolean(), nullable=False, comment="whether the provider said how many"),
        sa.Column("done_at", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_reservations_job_id")),
        sa.PrimaryKeyConstraint("job_id", "fence", "provider", name=op.f("pk_reservations")),
    )
    op.create_index("ix_reservations_window", "reservations", ["provider", "taken_at"])
    op.create_index("ix_reservations_open", "reservations", ["provider"], sqlite_where=OPEN, postgresql_where=OPEN)
    op.create_table(
        "provider_states",
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("paused_until", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("provider", name=op.f("pk_provider_states")),
    )


def downgrade() -> None:
    """Take them away again."""
    op.drop_table("provider_states")
    op.drop_table("reservations")
    op.drop_index("ix_jobs_ready", table_name="jobs")
    op.create_index("ix_jobs_ready", "jobs", ["rank", "run_at"], sqlite_where=READY, postgresql_where=READY)
