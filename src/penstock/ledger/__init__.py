"""Credits: granted in lots, held for a job, then captured or released. Double entry, append-only."""
