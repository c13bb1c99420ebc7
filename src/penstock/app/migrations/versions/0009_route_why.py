"""Why a job's provider was chosen, and what providers cost lately."""

import sqlalchemy as sa
from alembic import op

revision: str = "0009_route_why"
down_revision: str | None = "0008_mail"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Let jobs say whom their route skipped, and find the measured costs of a provider."""
    op.add_column(
        "jobs",
        sa.Column(
            "route_why", sa.Text(), nullable=True, comment="JSON, for operators: whom its last choices skipped, and why"
        ),
    )
    measured = sa.text("cost_microdollars > 0 AND cost_estimated = false")
    op.create_index(
        "ix_attempts_measured",
        "attempts",
        ["provider", "finished_at"],
        sqlite_where=measured,
        postgresql_where=measured,
    )


def downgrade() -> None:
    """Take it away again."""
    op.drop_index("ix_attempts_measured", "attempts")
    op.drop_column("jobs", "route_why")
