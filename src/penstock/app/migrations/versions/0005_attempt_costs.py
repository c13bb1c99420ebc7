"""What an attempt cost by estimate or report, the tokens it used, and why this provider was asked."""

import sqlalchemy as sa
from alembic import op

revision: str = "0005_attempt_costs"
down_revision: str | None = "0004_upload_slips"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Add the columns."""
    op.add_column(
        "attempts",
        sa.Column(
            "cost_estimated",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="the provider did not report it",
        ),
    )
    op.add_column(
        "attempts",
        sa.Column("tokens", sa.BigInteger(), nullable=True, comment="in and out, as the provider reports them"),
    )


def downgrade() -> None:
    """Take them away again."""
    op.drop_column("attempts", "tokens")
    op.drop_column("attempts", "cost_estimated")
