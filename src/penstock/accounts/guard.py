"""The seam to whoever slows down guessing: accounts ask, `penstock.admission` decides.

Accounts stand below admission and so may not import it; the app passes a guard in. Sessions that exist never pass
here: only somebody who tries a password, signs up or arrives as a new visitor does.
"""

from typing import Protocol


class Guard(Protocol):
    """Says how long somebody must wait before trying again; 0 means now, and counts the try."""

    async def sign_in(self, email: str, address: str) -> float:
        """Return seconds to wait before another try at this e-mail from this address.

        A try counts from the moment it is let through, not when it has failed: parallel guesses can't slip past.
        """
        ...

    async def signed_in(self, email: str, address: str) -> None:
        """Take back the count of a try that had the right password."""
        ...

    async def new_account(self, address: str) -> float:
        """Return seconds to wait before another registration from this address."""
        ...

    async def way(self, address: str) -> float:
        """Return seconds to wait before another way to an OpenID provider, or 0 and count this one."""
        ...

    async def letter(self, email: str, address: str) -> float:
        """Return seconds to wait before another letter to this e-mail, or for this address, or 0 and count this one."""
        ...

    async def new_visitor(self, address: str) -> float:
        """Return seconds to wait before another anonymous account for this address."""
        ...
