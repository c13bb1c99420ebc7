"""Penstock: one product file in, a paid AI product out."""
