"""Diagrams as Mermaid text: made from structured texts without any model, and read by Mermaid's own parser.

Pure functions on texts. Strangers' texts go through them in child processes, which `providers.local` and
`jobs.studio` start.
"""
