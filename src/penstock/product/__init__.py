"""The product file: what a maker writes, and what everything else reads."""
