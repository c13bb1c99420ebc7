"""How mail is set up: by SMTP, shown in development, or not at all; and what links in letters begin with."""

from urllib.parse import urlsplit

from starlette.requests import Request

from penstock.accounts.proofs import Proofs
from penstock.kit.database import Database
from penstock.notify.mail import ConsoleCarrier, Post
from penstock.notify.smtp import SmtpCarrier, SmtpServer
from penstock.product.settings import Settings

_THIS_MACHINE = frozenset({"localhost", "127.0.0.1", "::1"})


def open_post(settings: Settings, database: Database, brand: str) -> Post | None:
    """Return where letters go; None where none can be sent."""
    if settings.smtp_url is not None and settings.mail_from is not None:
        return Post(database, SmtpCarrier(SmtpServer.at(settings.smtp_url), settings.mail_from, brand))
    return Post(database, ConsoleCarrier()) if settings.development else None


class MailBase:
    """Says what links in letters begin with.

    Never what a request claims: whoever asks for somebody else's password could make that link lead to their own
    server. In development the address that was called is used, if it is this machine's.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def __call__(self, request: Request) -> str | None:
        """Return an address without a slash at its end, or None where there is none to be trusted."""
        if self._settings.public_url is not None:
            return self._settings.public_url
        called = str(request.base_url).rstrip("/")
        return called if self._settings.development and urlsplit(called).hostname in _THIS_MACHINE else None


class Welcome:
    """Sends new customers the link that confirms their address."""

    def __init__(self, proofs: Proofs, base: MailBase) -> None:
        self._proofs, self._base = proofs, base

    async def __call__(self, request: Request, account_id: str) -> None:
        """Do so for an account that was made by a request."""
        await self._proofs.welcome(account_id, self._base(request))
