"""The tests of Penstock; see docs/testing.md for where each kind lives."""
