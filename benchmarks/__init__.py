"""What Penstock measures about itself, beside its peers and in the same run. See docs/benchmarks.md."""
