"""What operators see: logs, metric names, the load of the machine. It looks at everything and decides nothing."""
