"""Statements on product versions."""

REMEMBER = """
INSERT INTO product_versions (version, text, created_at)
VALUES (:version, :text, :now)
ON CONFLICT (version) DO NOTHING
"""

TEXT = "SELECT text FROM product_versions WHERE version = :version"

NEWEST = "SELECT version, text FROM product_versions ORDER BY created_at DESC LIMIT 1"
