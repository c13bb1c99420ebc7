"""What the ledger refuses. Callers turn these into problems; a customer never sees one as it is."""


class LedgerError(Exception):
    """The base of everything the ledger refuses."""


class InsufficientCreditsError(LedgerError):
    """A hold asks for more than is available."""

    def __init__(self, available: int, needed: int) -> None:
        super().__init__(f"{needed} credits needed, {available} available")
        self.available = available
        self.needed = needed


class HoldConflictError(LedgerError):
    """The same job was held for another amount, or resolved in another way, before."""


class ForfeitConflictError(LedgerError):
    """The same source took another customer's credits before."""


class UnknownWalletError(LedgerError):
    """There is no wallet for this account."""
