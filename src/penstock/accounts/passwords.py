"""Passwords: what is accepted, and argon2id off the event loop.

Checking one takes a fifth of a second of CPU and 64 MiB on purpose. So at most `CHECKS_AT_ONCE` run, `MAX_WAITING`
wait, and whoever comes after that is told to come back. An unknown e-mail address costs the same check against a
dummy, so that the time of an answer tells nothing.

Passwords are normalised by Unicode NFKC (NIST SP 800-63B, section 3.1.1.2): the same keys on another machine may
produce other code points.
"""

import asyncio
import secrets
import unicodedata
from dataclasses import dataclass

from pwdlib import PasswordHash

from penstock.accounts.errors import invalid_field, sign_in_busy
from penstock.kit.errors import Problem

MIN_PASSWORD_CHARACTERS = 8
MAX_PASSWORD_CHARACTERS = 256
CHECKS_AT_ONCE = 2
MAX_WAITING = 32  # sign-ins that wait for a check: some three seconds of work
COMMON_SUFFIX_CHARACTERS = 4  # what people append to a common word to please a rule

_COMMON_TEXT = """
    00000000 11111111 12121212 11223344 12341234 12344321 12345678 123456789 1234567890 87654321 88888888 99999999
    987654321 1234qwer 123qweasd 1q2w3e4r 1q2w3e4r5t 1qaz2wsx aa123456 abc12345 abcd1234 abcdefgh administrator admin
    asdfasdf asdfghjk asdfghjkl asdf1234 baseball basketball batman butterfly changeme charlie chocolate computer
    corvette cowboys default dragon elephant football freedom hello iloveyou internet jennifer jordan letmein
    liverpool login maverick mercedes michael michelle midnight monkey mountain mustang ncc1701d nicole passw0rd
    password passwort pa55word p@ssw0rd p@ssword princess q1w2e3r4 q1w2e3r4t5 qazwsxedc qwer1234 qwerty qwerty12
    qwertyui qwertyuiop samantha secret shadow starwars sunshine superman test1234 trustno1 victoria welcome whatever
    william zaq12wsx zxcvbnm zxcvbnm123 motdepasse contraseña password1 qwerty123 qwertz qwertzui qwertzuiop
"""
_COMMON = frozenset(_COMMON_TEXT.split())


@dataclass(frozen=True)
class Checked:
    """The outcome of a check; `rehashed` is set where the parameters have changed since the hash was made."""

    right: bool
    rehashed: str | None = None


class Passwords:
    """Hashes and checks passwords in threads.

    Args:
        hasher: argon2id with the library's recommended parameters by default.
    """

    def __init__(self, hasher: PasswordHash | None = None) -> None:
        self._hasher = hasher or PasswordHash.recommended()
        self._dummy = self._hasher.hash(secrets.token_urlsafe(16))
        self._room = asyncio.Semaphore(CHECKS_AT_ONCE)
        self._waiting = 0

    async def hash(self, password: str) -> str:
        """Return the hash of an accepted password. Errors: `busy`."""
        async with _Turn(self):
            return await asyncio.to_thread(self.hash_now, password)

    def hash_now(self, password: str) -> str:
        """Return the hash of an accepted password, on this thread; for the command line."""
        return self._hasher.hash(normalise(password))

    async def check(self, password: str, known: str | None) -> Checked:
        """Check a password against a hash; without one (no such account) take as long and say no. Errors: `busy`."""
        async with _Turn(self):
            return await asyncio.to_thread(self._check_now, password, known)

    def refuse_if_busy(self) -> None:
        """Raise `busy` if too many wait for a check."""
        if self._waiting >= MAX_WAITING:
            raise sign_in_busy()

    def _check_now(self, password: str, known: str | None) -> Checked:
        usable = storable(password)
        right, rehashed = self._hasher.verify_and_update(normalise(password) if usable else "", known or self._dummy)
        return Checked(right, rehashed) if usable and known is not None else Checked(right=False)

    async def take_turn(self) -> None:
        """Wait for one of the places in which a check may run."""
        self.refuse_if_busy()
        self._waiting += 1
        try:
            await self._room.acquire()
        finally:
            self._waiting -= 1

    def end_turn(self) -> None:
        """Give the place to the next."""
        self._room.release()


class _Turn:
    """One place among `CHECKS_AT_ONCE`, for the length of a `with` block."""

    def __init__(self, passwords: Passwords) -> None:
        self._passwords = passwords

    async def __aenter__(self) -> None:
        await self._passwords.take_turn()

    async def __aexit__(self, *_: object) -> None:
        self._passwords.end_turn()


def normalise(password: str) -> str:
    """Return the code points that are hashed."""
    return unicodedata.normalize("NFKC", password)


def storable(password: str) -> bool:
    """Say whether a password is short enough to be hashed and free of unpaired surrogates."""
    return len(password) <= MAX_PASSWORD_CHARACTERS and not any("\ud800" <= each <= "\udfff" for each in password)


def accept(password: str, email: str) -> None:
    """Accept a new password for the (normalised) e-mail address. Errors: `invalid_input` on `password`."""
    reason = _objection(password, email)
    if reason is not None:
        raise _refused(reason)


def _objection(password: str, email: str) -> str | None:
    if len(password) > MAX_PASSWORD_CHARACTERS:
        return f"This password is too long: {MAX_PASSWORD_CHARACTERS} characters are enough."
    if not storable(password):
        return "This password holds characters that no keyboard sends. Please choose another."
    normal = normalise(password)
    if len(normal) < MIN_PASSWORD_CHARACTERS:
        return f"This password is too short: use at least {MIN_PASSWORD_CHARACTERS} characters."
    folded = normal.casefold().strip()
    if folded in {email, email.partition("@")[0]}:
        return "Your e-mail address is not a password. Please choose another."
    if _common(folded):
        return "Very many people use this password, so it is guessed first. Please choose another."
    return None


def _common(folded: str) -> bool:
    word = folded.rstrip("0123456789!?.*#$_-")
    return (
        folded in _COMMON
        or len(set(folded)) <= 1
        or (word in _COMMON and len(folded) - len(word) <= COMMON_SUFFIX_CHARACTERS)
    )


def _refused(reason: str) -> Problem:
    return invalid_field("password", reason)
