"""Results that identical requests are given."""

import sqlalchemy as sa
from alembic import op

revision: str = "0007_cached_results"
down_revision: str | None = "0006_payments"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Add the table, and what a job knows of it."""
    key = sa.Column(
        "cache_key",
        sa.Text(),
        nullable=True,
        comment="by which identical requests find it; null where there is no cache",
    )
    op.add_column("jobs", key)
    source = sa.Column("cached_from", sa.Text(), nullable=True, comment="the job whose result is given instead of work")
    op.add_column("jobs", source)
    op.create_table(
        "cached_results",
        sa.Column("key", sa.Text(), nullable=False, comment="SHA-256 of all that a result depends on"),
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("used_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_cached_results_job_id")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_cached_results")),
    )
    op.create_index("ix_cached_results_used", "cached_results", ["used_at"], unique=False)


def downgrade() -> None:
    """Take them away again."""
    op.drop_table("cached_results")
    op.drop_column("jobs", "cached_from")
    op.drop_column("jobs", "cache_key")
