"""Keyed digests: what the database keeps instead of a refresh token, a visitor's cookie or an API key.

Each purpose has its own key, derived from the server's secret, so that a digest of one kind never stands for another
and a stolen database without the secret opens nothing.
"""

import hashlib
import hmac
from typing import Literal

Purpose = Literal[
    "access token",
    "refresh token",
    "api key",
    "visitor",
    "mail link",
    "sign-in",
    "sign-in state",
    "sign-in nonce",
    "sign-in verifier",
]


class Digests:
    """HMAC-SHA256 under keys derived from one secret."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def key(self, purpose: Purpose) -> bytes:
        """Return the 32-byte key of a purpose."""
        return hmac.digest(self._secret, f"penstock 1 {purpose}".encode(), hashlib.sha256)

    def of(self, purpose: Purpose, credential: str) -> str:
        """Return the digest of a credential as 64 hexadecimal digits."""
        return hmac.new(self.key(purpose), credential.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
