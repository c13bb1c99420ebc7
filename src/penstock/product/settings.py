"""What the environment decides: where Penstock listens, where it keeps its files, its secret.

`PENSTOCK_*` variables override the defaults here; a file `.env` in the working directory gives what the process's
own environment does not. Flags of the command line override both.
"""

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import urlsplit

from dotenv.parser import parse_stream

from penstock.product.mistakes import closest
from penstock.product.schema_services import Services
from penstock.product.storage_url import BucketAddress, read_storage_url

PREFIX = "PENSTOCK_"
MIN_SECRET_CHARACTERS = 32
MAX_PORT = 65_535
MIN_CONNECTIONS, MAX_CONNECTIONS = 2, 100  # of one process to a PostgreSQL server
LogFormat = Literal["auto", "console", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]
_HOST_LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")


class SettingsError(Exception):
    """Variables that cannot be used; says all of them and what to write instead."""

    def __init__(self, complaints: list[str]) -> None:
        """Keep one sentence for each variable."""
        super().__init__("\n".join(complaints))
        self.complaints = tuple(complaints)


@dataclass(frozen=True)
class Settings:
    """The settings of one process.

    Args:
        data_dir: the folder that holds the database and the files.
        host: the address to listen on.
        port: the port to listen on; 0 lets the system choose.
        secret: signs tokens and links, of `MIN_SECRET_CHARACTERS` at least; None: one is made and kept in `data_dir`.
        public_url: where customers reach the product, without a slash at the end; None: where it listens.
        database_url: a PostgreSQL database that many processes share; None: the SQLite file in `data_dir`.
        database_connections: to that database, of this process, at most.
        redis_url: a Redis server through which processes hear of each other; None: they do without.
        storage: a bucket that many processes keep files in; None: a folder in `data_dir`.
        smtp_url: the mail server; None: mail is shown in development, and off elsewhere.
        mail_from: the address that letters come from.
        log_format: `auto` is for people on a terminal, JSON elsewhere.
        log_level: the least that is logged.
    """

    data_dir: Path = Path("penstock-data")
    host: str = "127.0.0.1"
    port: int = 8000
    secret: str | None = field(default=None, repr=False)
    public_url: str | None = None
    database_url: str | None = field(default=None, repr=False)
    database_connections: int = 10
    redis_url: str | None = field(default=None, repr=False)
    storage: BucketAddress | None = None
    smtp_url: str | None = field(default=None, repr=False)
    mail_from: str | None = None
    log_format: LogFormat = "auto"
    log_level: LogLevel = "info"

    @property
    def development(self) -> bool:
        """Whether only this machine can reach the server: then it may stand in for mail and for payment providers."""
        shown = self.host if self.public_url is None else urlsplit(self.public_url).hostname or ""
        return self.database_url is None and _is_loopback(self.host) and _is_loopback(shown)


def read_environment(folder: Path, process: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of `process` over those of `folder/.env`, if there is one.

    Errors: SettingsError for lines of `.env` that are not `NAME=value`.
    """
    path = folder / ".env"
    try:
        with path.open(encoding="utf-8-sig") as file:
            bindings = list(parse_stream(file))
    except FileNotFoundError:
        return dict(process)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError([f"{path} can't be read: {error}"]) from error
    wrong = [binding.original.line for binding in bindings if binding.error]
    if wrong:
        raise SettingsError([f"{path}:{line}: this is not NAME=value." for line in wrong])
    written = {binding.key: binding.value or "" for binding in bindings if binding.key}
    return {**written, **process}


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Return the settings that `environment` asks for. Errors: SettingsError with every wrong variable."""
    complaints = _misspelt(environment)
    values: dict[str, object] = {}
    for name, (attribute, read) in _VARIABLES.items():
        written = environment.get(name, "").strip()
        if not written:
            continue
        try:
            values[attribute] = read(written)
        except ValueError as error:
            shown = "" if attribute in _PRIVATE else f" is {written!r}, but"
            complaints.append(f"{name}{shown} {error}.")
    if values.get("smtp_url"):
        needed = (("PENSTOCK_MAIL_FROM", "mail_from"), ("PENSTOCK_PUBLIC_URL", "public_url"))
        lacking = [
            name for name, attribute in needed if not environment.get(name, "").strip() and attribute not in values
        ]
        complaints += [f"{name} must be set to send mail by PENSTOCK_SMTP_URL." for name in lacking]
    if complaints:
        raise SettingsError(complaints)
    return Settings(**values)  # type: ignore[arg-type]  # each reader returns its field's type


def at_services(settings: Settings, services: Services) -> Settings:
    """Return settings with the addresses that a checked product file names, where the environment names none."""
    storage = None if services.storage_url is None else read_storage_url(services.storage_url)
    return replace(
        settings,
        database_url=settings.database_url or services.database_url,
        redis_url=settings.redis_url or services.redis_url,
        storage=settings.storage or storage,
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _misspelt(environment: Mapping[str, str]) -> list[str]:
    """Name variables that were surely meant to be one of ours: silently ignored, they would surprise."""
    complaints = []
    for name in environment:
        if name.startswith(PREFIX) and name not in _VARIABLES:
            match = closest(name.removeprefix(PREFIX), [known.removeprefix(PREFIX) for known in _VARIABLES])
            if match is not None:
                complaints.append(f"{name} is not known. Did you mean {PREFIX}{match}?")
    return complaints


def _folder(written: str) -> Path:
    path = Path(written).expanduser()
    if path.exists() and not path.is_dir():
        raise ValueError("must name a folder, and this is a file")
    return path


def _host(written: str) -> str:
    try:
        return str(ipaddress.ip_address(written))
    except ValueError:
        if not written.replace(".", "").isdigit() and all(map(_HOST_LABEL.fullmatch, written.split("."))):
            return written
        raise ValueError('must be an address such as "127.0.0.1" or "0.0.0.0", or a host name') from None


def _port(written: str) -> int:
    if not written.isascii() or not written.isdigit() or int(written) > MAX_PORT:
        raise ValueError(f"must be a whole number from 0 to {MAX_PORT}")
    return int(written)


def _secret(written: str) -> str:
    if len(written) < MIN_SECRET_CHARACTERS:
        raise ValueError(
            f"must have {MIN_SECRET_CHARACTERS} characters at least: openssl rand -hex 32 makes a good one"
        )
    return written


def _public_url(written: str) -> str:
    parts = urlsplit(written)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError('must be an address such as "https://photos.example.org"')
    return written.rstrip("/")


def _database_url(written: str) -> str:
    parts = urlsplit(written)
    if parts.scheme not in {"postgresql", "postgres"} or not parts.path.strip("/"):
        raise ValueError('must be the address of a database such as "postgresql://user:password@localhost:5432/name"')
    return written


def _database_connections(written: str) -> int:
    if not written.isascii() or not written.isdigit() or not MIN_CONNECTIONS <= int(written) <= MAX_CONNECTIONS:
        raise ValueError(f"must be a whole number from {MIN_CONNECTIONS} to {MAX_CONNECTIONS}")
    return int(written)


def _redis_url(written: str) -> str:
    parts = urlsplit(written)
    number = parts.path.strip("/")
    if parts.scheme not in {"redis", "rediss"} or not parts.hostname or (number and not number.isdecimal()):
        raise ValueError('must be the address of a Redis server such as "redis://user:password@localhost:6379/0"')
    return written


def _smtp_url(written: str) -> str:
    parts = urlsplit(written)
    if parts.scheme not in {"smtp", "smtps"} or not parts.hostname:
        raise ValueError('must be an address such as "smtps://user:password@mail.example.org"')
    return written


def _mail_from(written: str) -> str:
    if re.fullmatch(r"[^@\s<>]+@[^@\s<>]+\.[^@\s<>]+", written) is None:
        raise ValueError('must be an e-mail address such as "hello@example.org"')
    return written


def _log_format(written: str) -> str:
    return _one_of(written, get_args(LogFormat))


def _log_level(written: str) -> str:
    return _one_of(written, get_args(LogLevel))


def _one_of(written: str, known: tuple[str, ...]) -> str:
    if written.casefold() not in known:
        raise ValueError(f"must be one of {', '.join(known)}")
    return written.casefold()


_VARIABLES: dict[str, tuple[str, Callable[[str], object]]] = {
    "PENSTOCK_DATA": ("data_dir", _folder),
    "PENSTOCK_HOST": ("host", _host),
    "PENSTOCK_PORT": ("port", _port),
    "PENSTOCK_SECRET": ("secret", _secret),
    "PENSTOCK_PUBLIC_URL": ("public_url", _public_url),
    "PENSTOCK_DATABASE_URL": ("database_url", _database_url),
    "PENSTOCK_DATABASE_CONNECTIONS": ("database_connections", _database_connections),
    "PENSTOCK_REDIS_URL": ("redis_url", _redis_url),
    "PENSTOCK_STORAGE_URL": ("storage", read_storage_url),
    "PENSTOCK_SMTP_URL": ("smtp_url", _smtp_url),
    "PENSTOCK_MAIL_FROM": ("mail_from", _mail_from),
    "PENSTOCK_LOG_FORMAT": ("log_format", _log_format),
    "PENSTOCK_LOG_LEVEL": ("log_level", _log_level),
}
VARIABLES = tuple(_VARIABLES)
ADDRESSES = {
    key: (name, _VARIABLES[name][1])
    for key in ("database_url", "redis_url", "storage_url")
    for name in (f"{PREFIX}{key.upper()}",)
}
"""Of each key of `[services]` in a product file, the variable that goes before it, and what reads either."""
_PRIVATE = {"secret", "database_url", "redis_url", "smtp_url", "storage"}  # never repeated in a message
