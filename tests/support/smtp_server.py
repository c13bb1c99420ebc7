"""A mail server that takes letters on a loopback port, or refuses them as told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage


@dataclass
class MailServer:
    """What came in, and what is refused: replies by the command that they answer, such as `RCPT`."""

    port: int = 0
    letters: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    refuses: dict[str, str] = field(default_factory=dict)
    users: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Speak SMTP with one client."""
        writer.write(b"220 mail.test\r\n")
        while line := await reader.readline():
            command = line.decode().strip()
            verb = command.split()[0].upper() if command else ""
            reply = self.refuses.get(verb) or await self._reply(verb, command, reader, writer)
            writer.write(f"{reply}\r\n".encode())
            if verb == "QUIT":
                break
        writer.close()

    async def _reply(self, verb: str, command: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
        if verb == "EHLO":
            return "250-mail.test\r\n250 AUTH PLAIN"
        if verb == "AUTH":
            self.users.append(command.rsplit(maxsplit=1)[-1])
            return "235 welcome"
        if verb == "RCPT":
            self.recipients.append(command.partition("<")[2].rstrip(">"))
        if verb == "DATA":
            writer.write(b"354 go on\r\n")
            body = await reader.readuntil(b"\r\n.\r\n")
            letter = message_from_bytes(body[:-3], policy=policy.default)
            assert isinstance(letter, EmailMessage)
            self.letters.append(letter)
        return "221 bye" if verb == "QUIT" else "250 ok"


@asynccontextmanager
async def mail_server() -> AsyncIterator[MailServer]:
    """Run a mail server."""
    made = MailServer()
    server = await asyncio.start_server(made.answer, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        await server.wait_closed()
