"""Mail by SMTP (RFC 5321), with TLS: from the first byte (`smtps://`), or from STARTTLS on (`smtp://`).

In clear text only to this machine itself. The standard library's client, in a thread: a letter is seldom and small.
"""

import asyncio
import ipaddress
import smtplib
import ssl
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from urllib.parse import unquote, urlsplit

from penstock.notify.mail import CarrierError, Letter

TIMEOUT_S = 30.0
PORTS = {"smtp": 587, "smtps": 465}
_PERMANENT_FROM = 500  # replies from here on are final (RFC 5321, section 4.2.1)


@dataclass(frozen=True)
class SmtpServer:
    """Where letters go."""

    host: str
    port: int
    tls: bool
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def at(cls, url: str) -> "SmtpServer":
        """Read an address such as `smtps://user:password@mail.example.org`. Errors: ValueError."""
        parts = urlsplit(url)
        if parts.scheme not in PORTS or not parts.hostname:
            raise ValueError('must be an address such as "smtps://user:password@mail.example.org"')
        user = None if parts.username is None else unquote(parts.username)
        password = None if parts.password is None else unquote(parts.password)
        return cls(parts.hostname, parts.port or PORTS[parts.scheme], parts.scheme == "smtps", user, password)


class SmtpCarrier:
    """Sends letters through one server.

    Args:
        sender: the address that letters come from.
        name: what stands beside it.
    """

    keeps = False

    def __init__(self, server: SmtpServer, sender: str, name: str) -> None:
        self._server, self._sender, self._name = server, sender, " ".join(name.split())

    async def send(self, letter: Letter) -> None:
        """See `Carrier.send`."""
        await asyncio.to_thread(self._send, self._message(letter))

    def _message(self, letter: Letter) -> EmailMessage:
        message = EmailMessage()
        message["From"] = f"{_quoted(self._name)} <{self._sender}>"
        message["To"] = letter.to
        message["Subject"] = " ".join(letter.subject.split())
        message["Date"] = formatdate()
        message["Message-ID"] = make_msgid(domain=self._sender.rpartition("@")[2])
        message["Auto-Submitted"] = "auto-generated"  # keeps out-of-office replies away (RFC 3834)
        message.set_content(letter.text)
        return message

    def _send(self, message: EmailMessage) -> None:
        try:
            with self._connected() as client:
                if self._server.user is not None:
                    client.login(self._server.user, self._server.password or "")
                client.send_message(message)
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _ in error.recipients.values()]
            raise CarrierError(f"refused: {codes}", final=all(code >= _PERMANENT_FROM for code in codes)) from error
        except (smtplib.SMTPException, OSError) as error:
            raise CarrierError(f"{type(error).__name__}: {error}") from error

    def _connected(self) -> smtplib.SMTP:
        server = self._server
        secure = ssl.create_default_context()
        if server.tls:
            return smtplib.SMTP_SSL(server.host, server.port, timeout=TIMEOUT_S, context=secure)
        client = smtplib.SMTP(server.host, server.port, timeout=TIMEOUT_S)
        try:
            client.ehlo()
            if client.has_extn("starttls"):
                client.starttls(context=secure)
                client.ehlo()
            elif not _is_loopback(server.host):
                raise CarrierError(f"{server.host} does not offer STARTTLS, and letters are not sent in clear text")
        except BaseException:
            client.close()
            raise
        return client


def _quoted(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
