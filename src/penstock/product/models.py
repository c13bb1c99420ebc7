"""Every version of the product file that was ever in force, as it was written."""

from sqlalchemy import Column, Double, Table, Text

from penstock.kit.database import metadata

product_versions = Table(
    "product_versions",
    metadata,
    Column("version", Text, primary_key=True, comment="the beginning of the SHA-256 of `text`"),
    Column("text", Text, nullable=False),
    Column("created_at", Double, nullable=False),
)
