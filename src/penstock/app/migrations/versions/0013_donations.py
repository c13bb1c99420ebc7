"""Who went to the page for donations."""

import sqlalchemy as sa
from alembic import op

revision: str = "0013_donations"
down_revision: str | None = "0012_attempt_calls"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "donation_clicks",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False, comment="days since 1970 UTC"),
        sa.Column("place", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "day", "place", name=op.f("pk_donation_clicks")),
    )
    op.create_index("ix_donation_clicks_day", "donation_clicks", ["day"], unique=False)


def downgrade() -> None:
    """Take it away again."""
    op.drop_table("donation_clicks")
