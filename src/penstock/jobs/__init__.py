"""The flow: submit, queue, worker, run, settle; and maintenance, which mends what a crash left behind."""
