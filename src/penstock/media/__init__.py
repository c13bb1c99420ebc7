"""Pictures and files: uploads in, prepared pictures to providers, finished results out, and where bytes lie.

    endpoints -> receive (stream to a file) -> decode (child) -> storage + rows
    job       -> prepare (child) -> provider -> finish (child) -> storage + rows

Pixels are touched only in child processes (`kit.children`), by plain functions on file paths.
"""
