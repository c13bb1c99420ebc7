"""How many requests an attempt sent: a provider may be shown what is wrong with its answer."""

import sqlalchemy as sa
from alembic import op

revision: str = "0012_attempt_calls"
down_revision: str | None = "0010_sign_in"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Add the column."""
    op.add_column(
        "attempts",
        sa.Column(
            "calls",
            sa.Integer(),
            server_default="1",
            nullable=False,
            comment="requests sent; cost and tokens are of all",
        ),
    )


def downgrade() -> None:
    """Take it away again."""
    op.drop_column("attempts", "calls")
