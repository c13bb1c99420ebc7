"""What tests and benchmarks share: a small product, a provider that obeys, a flow on a throw-away database."""
