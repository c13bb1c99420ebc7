"""Stand-ins for vendors: small servers on loopback ports that speak their wire formats, count what they would have
billed, and fail in every way that the tests ask for."""
