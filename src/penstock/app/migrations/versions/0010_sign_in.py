"""Who accounts are at issuers, who is on the way to one, and limits of their own."""

import sqlalchemy as sa
from alembic import op

revision: str = "0010_sign_in"
down_revision: str | None = "0009_route_why"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Add identities, the ways to OpenID providers that are under way, and limits of accounts."""
    comment = "in place of the plan's, as the two below"
    op.add_column("accounts", sa.Column("limit_running", sa.Integer(), nullable=True, comment=comment))
    op.add_column("accounts", sa.Column("limit_jobs_per_hour", sa.Integer(), nullable=True))
    op.add_column("accounts", sa.Column("limit_jobs_per_day", sa.Integer(), nullable=True))
    op.create_table(
        "identities",
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_identities_account_id")),
        sa.PrimaryKeyConstraint("issuer", "subject", name=op.f("pk_identities")),
    )
    op.create_index("ix_identities_account", "identities", ["account_id"])
    op.create_table(
        "sign_ins",
        sa.Column("digest", sa.Text(), nullable=False, comment="of the browser's cookie"),
        sa.Column("provider", sa.Text(), nullable=False, comment="its name in the product file"),
        sa.Column(
            "next_path", sa.Text(), nullable=False, comment="where the browser goes afterwards, within this site"
        ),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_sign_ins")),
    )
    op.create_index("ix_sign_ins_expiry", "sign_ins", ["expires_at"])


def downgrade() -> None:
    """Take them away again."""
    for name in ("limit_jobs_per_day", "limit_jobs_per_hour", "limit_running"):
        op.drop_column("accounts", name)
    op.drop_table("sign_ins")
    op.drop_table("identities")
