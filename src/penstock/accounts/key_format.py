"""The look of an API key: `pk_`, 32 random base62 characters, 6 of checksum.

The prefix lets scanners find a leaked key; the checksum (CRC32 of what stands before it) lets a mistyped or invented
one be refused without a look at the database. It protects against nothing else.
"""

import secrets
import string
import zlib

PREFIX = "pk_"
RANDOM_CHARACTERS = 32  # 190 bits
CHECKSUM_CHARACTERS = 6  # 62 ** 6 > 2 ** 32
SHOWN_PREFIX_CHARACTERS = 8

_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase


def new_key() -> str:
    """Return a fresh key."""
    body = PREFIX + "".join(secrets.choice(_BASE62) for _ in range(RANDOM_CHARACTERS))
    return body + _checksum(body)


def well_formed(key: str) -> bool:
    """Say whether a text is a key at all: length, characters and checksum."""
    body, checksum = key[:-CHECKSUM_CHARACTERS], key[-CHECKSUM_CHARACTERS:]
    return (
        len(key) == len(PREFIX) + RANDOM_CHARACTERS + CHECKSUM_CHARACTERS
        and key.startswith(PREFIX)
        and all(character in _BASE62 for character in key[len(PREFIX) :])
        and checksum == _checksum(body)
    )


def _checksum(body: str) -> str:
    value = zlib.crc32(body.encode("ascii"))
    digits = []
    for _ in range(CHECKSUM_CHARACTERS):
        value, digit = divmod(value, len(_BASE62))
        digits.append(_BASE62[digit])
    return "".join(reversed(digits))
