"""An issuer of tokens that says whatever a test wants, without a network: an OpenID provider, Clerk, Auth0."""

import base64
import hashlib
import hmac
import json
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import httpx2
import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from jwt.algorithms import RSAAlgorithm

from penstock.kit.clock import ManualClock
from penstock.kit.json_client import JsonClient

CLIENT_ID = "penstock-tests"
NOW = int(ManualClock().now())


@cache
def rsa_key(name: str) -> RSAPrivateKey:
    """Return a key, the same for the same name."""
    return generate_private_key(public_exponent=65537, key_size=2048)


def published(name: str, **changes: Any) -> dict[str, Any]:
    """Return what an issuer publishes of a key, under its name."""
    key = json.loads(RSAAlgorithm.to_jwk(rsa_key(name).public_key()))
    return {**key, "kid": name, "use": "sig", "alg": "RS256", "key_ops": ["verify"]} | changes


def public_pem(name: str) -> bytes:
    """Return the public half of a key as a file has it."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return rsa_key(name).public_key().public_bytes(serialization.Encoding.PEM, form)


def signed(claims: dict[str, Any], key: str = "first", algorithm: str = "RS256", **header: Any) -> str:
    """Return a token; `header` adds to its header or replaces what is there."""
    return jwt.encode(claims, rsa_key(key), algorithm, headers={"kid": key, **header})


def unsigned(claims: dict[str, Any]) -> str:
    """Return a token with the algorithm `none`."""
    return f"{_part({'alg': 'none', 'kid': 'first'})}.{_part(claims)}."


def signed_with_public_key(claims: dict[str, Any]) -> str:
    """Return a token signed by HS256 with the public key for a secret: what a careless verifier takes."""
    head = f"{_part({'alg': 'HS256', 'kid': 'first'})}.{_part(claims)}"
    mac = hmac.digest(public_pem("first"), head.encode(), hashlib.sha256)
    return f"{head}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


@dataclass
class FakeIssuer:
    """What answers in place of an issuer.

    Args:
        says: changes to what it says of itself.
        keys: what it publishes.
        tokens: what its token endpoint answers; None: that it gives none.
        broken: answers that it can't.
    """

    url: str = "https://issuer.test"
    says: dict[str, Any] = field(default_factory=dict)
    keys: list[dict[str, Any]] = field(default_factory=lambda: [published("first")])
    tokens: dict[str, Any] | None = None
    userinfo: dict[str, Any] = field(default_factory=dict)
    broken: bool = False
    asked: Counter[str] = field(default_factory=Counter)
    forms: list[str] = field(default_factory=list)

    def client(self) -> JsonClient:
        return JsonClient(httpx2.MockTransport(self.answer))

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        path = request.url.path
        self.asked[path] += 1
        if self.broken:
            raise httpx2.ConnectError("nobody is there")
        match path.rpartition("/")[2]:
            case "openid-configuration":
                return httpx2.Response(200, json=self._document())
            case "jwks.json":
                return httpx2.Response(200, json={"keys": self.keys})
            case "token":
                self.forms.append(request.content.decode())
                if self.tokens is None:
                    return httpx2.Response(400, json={"error": "invalid_grant"})
                return httpx2.Response(200, json=self.tokens)
            case "userinfo":
                return httpx2.Response(200, json=self.userinfo)
        return httpx2.Response(404, json={})

    def _document(self) -> dict[str, Any]:
        base = self.url.rstrip("/")
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{base}/authorize",
            "token_endpoint": f"{base}/token",
            "jwks_uri": f"{base}/.well-known/jwks.json",
        } | self.says


def claims_of(issuer: str, **changes: Any) -> dict[str, Any]:
    """Return what a token says that holds at `NOW`; changes to None are left out."""
    claims = {"iss": issuer, "sub": "person", "iat": NOW, "exp": NOW + 60} | changes
    return {name: value for name, value in claims.items() if value is not None}


def _part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
