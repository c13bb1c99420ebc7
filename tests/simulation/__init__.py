"""Hours of business in seconds: the real submit, queue, worker, run and settle under virtual time."""
