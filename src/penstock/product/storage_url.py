"""Read `PENSTOCK_STORAGE_URL`: the bucket of an object storage that files are kept in. Pure.

    s3://bucket/prefix?endpoint=https://storage.internal:9000&region=eu-west-1&public_endpoint=https://files.example.org

Without `endpoint` it is Amazon S3. Others are spoken to with the bucket in the path, as nearly all of them are set up.
"""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, urlsplit

DEFAULT_REGION: Final = "us-east-1"
MAX_PREFIX_CHARACTERS: Final = 100
EXAMPLE: Final = "s3://bucket/prefix?endpoint=http://localhost:9000&region=us-east-1"
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PREFIX: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
_REGION: Final = re.compile(r"[a-z0-9-]{1,40}")
_KNOWN: Final = ("endpoint", "public_endpoint", "region")


@dataclass(frozen=True)
class BucketAddress:
    """Where a bucket is.

    Args:
        prefix: what all keys in it begin with, without slashes around it; empty: nothing.
        endpoint: of the server that has it, without a slash at the end; None: Amazon's.
        public_endpoint: the same server as browsers reach it; None: as `endpoint`.
    """

    bucket: str
    prefix: str = ""
    endpoint: str | None = None
    region: str = DEFAULT_REGION
    public_endpoint: str | None = None

    @property
    def in_path(self) -> bool:
        """Whether the bucket's name stands in the path of its address, rather than in the host's name."""
        return self.endpoint is not None or "." in self.bucket  # a name with dots fits no certificate

    @property
    def url(self) -> str:
        """The bucket's address for this server."""
        return self._under(self.endpoint)

    @property
    def public_url(self) -> str:
        """The bucket's address for browsers."""
        return self._under(self.public_endpoint or self.endpoint)

    @property
    def server(self) -> str:
        """The address of the server, which holds the bucket's name where that doesn't stand in the path."""
        return self.url.removesuffix(f"/{self.bucket}") if self.in_path else self.url

    def path_of(self, key: str) -> str:
        """Return the whole key of a file in the bucket."""
        return f"{self.prefix}/{key}" if self.prefix else key

    def _under(self, endpoint: str | None) -> str:
        amazon = f"s3.{self.region}.amazonaws.com"
        if endpoint is None and not self.in_path:
            return f"https://{self.bucket}.{amazon}"
        return f"{endpoint or f'https://{amazon}'}/{self.bucket}"


def read_storage_url(written: str) -> BucketAddress:
    """Return the bucket that an address names. Errors: ValueError, with what must be written; never with the address.

    Keys don't belong in it: an address is shown in logs and process lists.
    """
    parts = urlsplit(written)
    if parts.scheme != "s3" or parts.fragment:
        raise ValueError(f'must be the address of a bucket such as "{EXAMPLE}"')
    if "@" in parts.netloc:
        raise ValueError("must not hold keys: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for them")
    if _BUCKET.fullmatch(parts.netloc) is None:
        raise ValueError("must name a bucket: 3 to 63 small letters, digits, dots and hyphens")
    prefix = parts.path.strip("/")
    if prefix and (_PREFIX.fullmatch(prefix) is None or len(prefix) > MAX_PREFIX_CHARACTERS):
        raise ValueError(
            f"must have a prefix of letters, digits, '_', '-', '.' and single '/', {MAX_PREFIX_CHARACTERS} at most"
        )
    return BucketAddress(parts.netloc, prefix, **_options(parts.query))


def _options(query: str) -> dict[str, str]:
    given = parse_qsl(query, keep_blank_values=True)
    for name, _ in given:
        if name not in _KNOWN:
            raise ValueError(f"must have no other options than {', '.join(_KNOWN)}, and it has {name[:40]!r}")
    options = dict(given)
    if _REGION.fullmatch(options.get("region", DEFAULT_REGION)) is None:
        raise ValueError('must name a region such as "eu-west-1"')
    for name in ("endpoint", "public_endpoint"):
        if name in options:
            options[name] = _endpoint(name, options[name])
    return options


def _endpoint(name: str, written: str) -> str:
    parts = urlsplit(written)
    odd = parts.query or parts.fragment or "@" in parts.netloc
    if parts.scheme not in {"http", "https"} or not parts.hostname or odd or not _has_port(written):
        raise ValueError(f'must have as {name} an address such as "https://storage.example.org"')
    default = f":{443 if parts.scheme == 'https' else 80}"  # which clients leave out of what is signed
    return f"{parts.scheme}://{parts.netloc.lower().removesuffix(default)}{parts.path.rstrip('/')}"


def _has_port(written: str) -> bool:
    try:
        return urlsplit(written).port != 0
    except ValueError:
        return False
