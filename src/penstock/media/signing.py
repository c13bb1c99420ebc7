"""Sign requests to object storage (AWS Signature Version 4): a download by address, and a browser's upload form. Pure.

obstore signs addresses too, but neither names of files in them nor upload forms. The algorithm is the one of "Signing
AWS API requests" and "Browser-based uploads using POST" in Amazon's reference; the tests hold it against botocore.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote, urlsplit

from penstock.product.storage_url import BucketAddress

ALGORITHM: Final = "AWS4-HMAC-SHA256"
MAX_SIGNED_S: Final = 7 * 86_400  # what storages take at most


@dataclass(frozen=True)
class AccessKeys:
    """What proves to the storage who we are; `session_token` comes with keys that end by themselves."""

    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class UploadForm:
    """Where to POST a form: `fields` in their order, then the file as the field `file`."""

    url: str
    fields: Mapping[str, str]


def signed_url(
    method: str, url: str, query: Mapping[str, str], region: str, keys: AccessKeys, *, at: float, life_s: int
) -> str:
    """Return an address that lets whoever has it do one thing.

    Args:
        url: without a query, its path not yet percent-encoded.
        query: what the address asks for beside, such as `response-content-disposition`.
        at: from when, in seconds since 1970 UTC; `life_s`: for how long, at most `MAX_SIGNED_S`.
    """
    assert 0 < life_s <= MAX_SIGNED_S
    parts = urlsplit(url)
    stamp, scope = _stamp(at), _scope(at, region)
    signed = {
        **query,
        "X-Amz-Algorithm": ALGORITHM,
        "X-Amz-Credential": f"{keys.access_key}/{scope}",
        "X-Amz-Date": stamp,
        "X-Amz-Expires": str(life_s),
        "X-Amz-SignedHeaders": "host",
    }
    if keys.session_token is not None:
        signed["X-Amz-Security-Token"] = keys.session_token
    path = quote(parts.path or "/", safe="/-_.~")
    asked = "&".join(f"{_encoded(name)}={_encoded(value)}" for name, value in sorted(signed.items()))
    canonical = "\n".join((method, path, asked, f"host:{parts.netloc}", "", "host", "UNSIGNED-PAYLOAD"))
    to_sign = "\n".join((ALGORITHM, stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()))
    signature = _signature(keys.secret_key, at, region, to_sign)
    return f"{parts.scheme}://{parts.netloc}{path}?{asked}&X-Amz-Signature={signature}"


def upload_form(address: BucketAddress, key: str, size: int, keys: AccessKeys, *, at: float, life_s: int) -> UploadForm:
    """Return a form with which a browser may store exactly `size` bytes under exactly `key`, once begun by its end."""
    stamp = _stamp(at)
    fields = {
        "key": address.path_of(key),
        "Content-Type": "application/octet-stream",  # whatever it is, nobody's browser shall run it
        "success_action_status": "204",
        "x-amz-algorithm": ALGORITHM,
        "x-amz-credential": f"{keys.access_key}/{_scope(at, address.region)}",
        "x-amz-date": stamp,
    }
    if keys.session_token is not None:
        fields["x-amz-security-token"] = keys.session_token
    conditions: list[Any] = [{"bucket": address.bucket}, *({name: value} for name, value in fields.items())]
    conditions.append(["content-length-range", size, size])
    policy = {"expiration": _moment(at + life_s).strftime("%Y-%m-%dT%H:%M:%SZ"), "conditions": conditions}
    encoded = base64.b64encode(json.dumps(policy).encode()).decode()
    signature = _signature(keys.secret_key, at, address.region, encoded)
    return UploadForm(address.public_url, {**fields, "policy": encoded, "x-amz-signature": signature})


def _encoded(text: str) -> str:
    return quote(text, safe="-_.~")


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def _stamp(at: float) -> str:
    return _moment(at).strftime("%Y%m%dT%H%M%SZ")


def _scope(at: float, region: str) -> str:
    return f"{_moment(at):%Y%m%d}/{region}/s3/aws4_request"


def _signature(secret: str, at: float, region: str, to_sign: str) -> str:
    key = f"AWS4{secret}".encode()
    for part in (f"{_moment(at):%Y%m%d}", region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, to_sign.encode(), "sha256").hex()
