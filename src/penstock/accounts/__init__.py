"""People and machines: who they are, how they prove it, what they may do.

A call passes `identify` (cookie, access token or API key to `Caller`) before any other domain sees it. Sign-in,
sessions, visitors and keys live here; credits and plans' money don't: those above are told by `on_account_created`.
"""

from penstock.accounts.people import Account
from penstock.accounts.service import AccountsService
from penstock.accounts.settings import AccountSettings

__all__ = ["Account", "AccountSettings", "AccountsService"]
