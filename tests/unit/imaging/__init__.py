"""Tests of `penstock.imaging`, and of what it is trained on and judged by."""
