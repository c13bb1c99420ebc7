"""What the shape of a file cannot say of the ways to sign in. Reads the document as written."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import SplitResult, urlsplit

from penstock.product.checks_work import tables
from penstock.product.mistakes import Complaint
from penstock.product.positions import KeyPath
from penstock.product.schema_parts import ADDRESS_PATTERN
from penstock.product.structure import Document

_THIS_MACHINE = frozenset({"localhost", "127.0.0.1", "::1"})


def sign_in_complaints(document: Document) -> Iterator[Complaint]:
    """Yield what does not fit in the ways to sign in."""
    written = document.get("sign_in")
    if not isinstance(written, dict):
        return
    at: KeyPath = ("sign_in",)
    elsewhere = [name for name in ("openid", "clerk", "auth0") if written.get(name)]
    if written.get("methods") == [] and not elsewhere:
        yield Complaint((*at, "methods"), "leaves no way to sign in", 'Write ["password"], or add an OpenID provider.')
    for name, provider in tables(written.get("openid")).items():
        yield from _issuer((*at, "openid", name, "issuer"), provider)
        scopes = provider.get("scopes")
        if isinstance(scopes, list) and "openid" not in scopes:
            yield Complaint((*at, "openid", name, "scopes"), 'lacks "openid", without which nobody is named', "Add it.")
    for name in ("clerk", "auth0"):
        if isinstance(written.get(name), dict):
            yield from _issuer((*at, name, "issuer"), written[name])
    yield from _auth0((*at, "auth0", "issuer"), written.get("auth0"))
    yield from _origins((*at, "clerk", "origins"), written.get("clerk"))


def _issuer(path: KeyPath, table: dict[str, Any]) -> Iterator[Complaint]:
    issuer = table.get("issuer")
    if not isinstance(issuer, str) or not re.fullmatch(ADDRESS_PATTERN, issuer):
        return
    parts = _split(issuer)
    if parts is None:
        yield Complaint(path, "is no address that can be asked", "Copy it from the provider's own pages.")
    elif parts.scheme != "https" and parts.hostname not in _THIS_MACHINE:
        yield Complaint(path, "is not https: anybody on the way could sign in as anybody", "Write it with https.")


def _auth0(path: KeyPath, table: object) -> Iterator[Complaint]:
    issuer = table.get("issuer") if isinstance(table, dict) else None
    if isinstance(issuer, str) and not issuer.endswith("/"):
        yield Complaint(path, "lacks the slash at its end, with which Auth0 writes it", f'Write "{issuer}/".')


def _origins(path: KeyPath, table: object) -> Iterator[Complaint]:
    origins = table.get("origins") if isinstance(table, dict) else None
    for at, origin in enumerate(origins if isinstance(origins, list) else ()):
        parts = _split(origin) if isinstance(origin, str) else None
        if parts is not None and (parts.path or parts.query):
            yield Complaint((*path, at), "is more than an origin", f'Write "{parts.scheme}://{parts.netloc}".')


def _split(address: str) -> SplitResult | None:
    try:
        return urlsplit(address)
    except ValueError:
        return None
