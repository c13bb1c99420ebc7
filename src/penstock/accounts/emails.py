"""E-mail addresses: one spelling for each mailbox, and a pragmatic check of their shape.

Only a letter that arrives proves an address; this check catches typing errors and keeps out what breaks mail or text.
"""

import re
import unicodedata

from penstock.accounts.errors import invalid_field
from penstock.kit.errors import Problem

MAX_EMAIL_CHARACTERS = 254  # RFC 5321, section 4.5.3.1.3
MAX_LOCAL_CHARACTERS = 64

_LOCAL = re.compile(r'[^\s@"(),:;<>\[\]\\.]+(\.[^\s@"(),:;<>\[\]\\.]+)*')
_DOMAIN = re.compile(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+(?!\d+$)[a-z0-9-]{2,63}")


def normalise(written: str) -> str:
    """Return the one spelling under which an address is known: Unicode NFKC, lower case, domain in its ASCII form.

    Mailboxes that differ only in case do not exist in practice, so `Ann@Example.org` and `ann@example.org` are one.

    Errors: `invalid_input` on `email`.
    """
    address = unicodedata.normalize("NFKC", written).strip().lower()
    local, at, domain = address.rpartition("@")
    if not at or len(written) > 2 * MAX_EMAIL_CHARACTERS or not _plain(address):
        raise _invalid()
    try:
        domain = domain.encode("idna").decode("ascii")
    except UnicodeError:
        raise _invalid() from None
    if len(local) > MAX_LOCAL_CHARACTERS or len(local) + 1 + len(domain) > MAX_EMAIL_CHARACTERS:
        raise _invalid()
    if not _LOCAL.fullmatch(local) or not _DOMAIN.fullmatch(domain):
        raise _invalid()
    return f"{local}@{domain}"


def normalised_or_none(written: str) -> str | None:
    """Return the one spelling of an address, None for what is none."""
    try:
        return normalise(written)
    except Problem:
        return None


def _plain(address: str) -> bool:
    """Say whether every character is one that can be seen: no control, format, private or unpaired ones."""
    return not any(unicodedata.category(character).startswith(("C", "Z")) for character in address)


def _invalid() -> Exception:
    return invalid_field("email", "This is not an e-mail address. Write it as in name@example.org.")
