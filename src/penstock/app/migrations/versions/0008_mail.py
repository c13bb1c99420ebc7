"""Letters to be sent, and the one-time links in them."""

import sqlalchemy as sa
from alembic import op

revision: str = "0008_mail"
down_revision: str | None = "0007_cached_results"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Add letters and links, and to accounts when their address was confirmed."""
    op.add_column(
        "accounts",
        sa.Column(
            "verified_at", sa.Double(), nullable=True, comment="when a link that was sent to the address came back"
        ),
    )
    op.create_table(
        "proofs",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column(
            "email", sa.Text(), nullable=False, comment="where it was sent: it proves nothing about another address"
        ),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.CheckConstraint("purpose IN ('verify', 'reset')", name=op.f("ck_proofs_purpose")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_proofs_account_id")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_proofs")),
    )
    op.create_index("ix_proofs_account", "proofs", ["account_id", "purpose"])
    op.create_index("ix_proofs_expiry", "proofs", ["expires_at"])
    op.create_table(
        "letters",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False, comment="erased once it is of no more use"),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("send_at", sa.Double(), nullable=True, comment="when it is tried next; null: sent or given up"),
        sa.Column("sent_at", sa.Double(), nullable=True),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_letters")),
    )
    waiting = sa.text("send_at IS NOT NULL")
    op.create_index("ix_letters_due", "letters", ["send_at"], sqlite_where=waiting, postgresql_where=waiting)


def downgrade() -> None:
    """Take them away again."""
    op.drop_table("letters")
    op.drop_table("proofs")
    op.drop_column("accounts", "verified_at")
