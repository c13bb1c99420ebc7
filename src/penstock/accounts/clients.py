"""The program at the other end of a request, as sign-in knows it."""

from dataclasses import dataclass

from starlette.requests import HTTPConnection

from penstock.accounts import cookies
from penstock.accounts.agents import label


@dataclass(frozen=True)
class Client:
    """The program at the other end: its network address and a label such as `Firefox on Linux`.

    `had_account`: a visitor of this browser became an account before.
    """

    address: str
    agent: str
    had_account: bool = False


NO_CLIENT = Client("unknown", "")


def client_of(connection: HTTPConnection) -> Client:
    """Return what is known of the program that calls."""
    had_account = cookies.read(connection, "origin") is not None
    return Client(address_of(connection), label(connection.headers.get("user-agent", "")), had_account)


def address_of(connection: HTTPConnection) -> str:
    """Return the caller's network address; behind a proxy the server must be told to trust its headers."""
    return "unknown" if connection.client is None else connection.client.host
