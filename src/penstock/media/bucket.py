"""A bucket of an object storage (S3 or compatible): how it is opened, whether it can be used, what is signed for it.

Files go through obstore like those of a folder, except that they are stored whole, in one request: an object is there
with its last byte or not at all, and nothing is left of a `put` that was cut short. Only what a provider or a child
made is stored by us, so files are small; `MAX_PUT_BYTES` says what that rests on.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import httpx2
from obstore.store import ObjectStore, S3Store

from penstock.kit.clock import Clock
from penstock.media.signing import AccessKeys, UploadForm, signed_url, upload_form
from penstock.product.storage_url import BucketAddress

if TYPE_CHECKING:
    from obstore.store import S3Config, S3Credential

CONNECT_S: Final = 5.0
READ_S: Final = 20.0  # for the storage to go on talking
REQUEST_S: Final = 120.0  # for a whole request: 50 MB at half a megabyte a second
RETRIES: Final = 2  # of one request that got no answer or "not now"; jobs try for longer, see `MediaService`
RETRY_S: Final = 10.0  # from the first request on
FIRST_PAUSE_S, MOST_PAUSE_S = 0.1, 2.0
PROBE_S: Final = 5.0  # by when the storage must have answered when it is asked how it is
MAX_PUT_BYTES: Final = 256_000_000  # in memory while it is stored
PUTS_AT_ONCE: Final = 4
DELETES_AT_ONCE: Final = 8
SIGNED_S: Final = 900  # how long a signed download works
SIGNED_STEP_S: Final = 300  # addresses of one file stay the same for so long, so that browsers keep what they have
MAX_TOLD_CHARACTERS: Final = 300
_CODE: Final = re.compile(r"<Code>([A-Za-z]{1,60})</Code>")

_WRONG_KEYS: Final = "The storage refused the keys in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. Correct them."
_OTHER_REGION: Final = "The bucket is in another region. Write the right one into PENSTOCK_STORAGE_URL, as region=…."
_ADVICE: Final[Mapping[str, str]] = {
    "NoSuchBucket": "There is no such bucket. Make it first, or correct PENSTOCK_STORAGE_URL.",
    "InvalidAccessKeyId": _WRONG_KEYS,
    "SignatureDoesNotMatch": _WRONG_KEYS,
    "InvalidToken": _WRONG_KEYS,
    "ExpiredToken": "The keys have expired. Set new ones in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
    "AccessDenied": "The keys are not allowed to do that. See the bucket policy in docs/storage.md.",
    "RequestTimeTooSkewed": "The clocks of this machine and of the storage differ too much. Set this one right.",
    "PermanentRedirect": _OTHER_REGION,
    "AuthorizationHeaderMalformed": _OTHER_REGION,
    "AuthorizationQueryParametersError": _OTHER_REGION,
}


class UnusableBucketError(Exception):
    """The bucket can't be used as it is set up; for operators, without secrets."""


@dataclass(frozen=True)
class Bucket:
    """One bucket and the keys to it."""

    address: BucketAddress
    keys: AccessKeys
    clock: Clock

    def store(self) -> ObjectStore:
        """Return the files in it. What the environment says about storages beside the keys doesn't count."""
        config: S3Config = {
            "endpoint": self.address.server,
            "aws_endpoint_url_s3": self.address.server,
            "region": self.address.region,
            "skip_signature": False,
            "virtual_hosted_style_request": not self.address.in_path,
            "disable_bulk_delete": True,  # which not every storage has
        }
        return S3Store(
            self.address.bucket,
            prefix=self.address.prefix or None,
            config=config,
            credential_provider=self._credentials,
            client_options={
                "allow_http": self.address.url.startswith("http://"),
                "connect_timeout": timedelta(seconds=CONNECT_S),
                "read_timeout": timedelta(seconds=READ_S),
                "timeout": timedelta(seconds=REQUEST_S),
            },
            retry_config={
                "max_retries": RETRIES,
                "retry_timeout": timedelta(seconds=RETRY_S),
                "backoff": {
                    "init_backoff": timedelta(seconds=FIRST_PAUSE_S),
                    "max_backoff": timedelta(seconds=MOST_PAUSE_S),
                    "base": 2,
                },
            },
        )

    def _credentials(self) -> "S3Credential":
        """Hand the keys over: given so, they are in nothing that obstore shows."""
        token = self.keys.session_token
        return {
            "access_key_id": self.keys.access_key,
            "secret_access_key": self.keys.secret_key,
            "token": token,
            "expires_at": None,
        }

    async def look(self) -> None:
        """Ask whether the bucket is there and ours to read. Errors: UnusableBucketError, which says what to do."""
        query = {"list-type": "2", "max-keys": "1", "prefix": self.address.path_of("")}
        url = self._signed("GET", self.address.url, query, self.clock.now(), SIGNED_S)
        try:
            async with httpx2.AsyncClient(timeout=PROBE_S, follow_redirects=False) as client:
                answer = await client.get(url)
        except httpx2.HTTPError as error:
            reason = f"{self.named} can't be reached: {type(error).__name__}."
            raise UnusableBucketError(f"{reason} See whether the storage runs and can be reached from here.") from error
        if answer.status_code != 200:
            raise UnusableBucketError(f"{self.named}: {advice(answer.text, answer.status_code)}")

    @property
    def named(self) -> str:
        """What operators read of it."""
        return f"The bucket {self.address.bucket} at {self.address.url}"

    @property
    def browser_sources(self) -> str:
        """What a page's content security policy must allow for uploads and downloads, and no more than that."""
        return (
            f"{self.address.public_url} {self.address.public_url}/" if self.address.in_path else self.address.public_url
        )

    def download(self, key: str, media_type: str, disposition: str) -> str:
        """Return an address that gives a file with its type and name to whoever has it, for a short time."""
        now = self.clock.now()
        query = {
            "response-cache-control": f"private, max-age={SIGNED_STEP_S}",
            "response-content-disposition": disposition,
            "response-content-type": media_type,
        }
        url = f"{self.address.public_url}/{self.address.path_of(key)}"
        return self._signed("GET", url, query, now - now % SIGNED_STEP_S, SIGNED_S)

    def form(self, key: str, size: int, life_s: int) -> UploadForm:
        """Return a form that stores exactly `size` bytes under `key` for whoever has it, for `life_s` seconds."""
        return upload_form(self.address, key, size, self.keys, at=self.clock.now(), life_s=life_s)

    def _signed(self, method: str, url: str, query: Mapping[str, str], at: float, life_s: int) -> str:
        return signed_url(method, url, query, self.address.region, self.keys, at=at, life_s=life_s)


def advice(answer: str, status: int | None = None) -> str:
    """Return what an operator is to do about what a storage answered."""
    found = _CODE.search(answer)
    code = found[1] if found else ""
    return _ADVICE.get(code) or f"The storage answered {status or ''} {code}".strip() + "."


def told(error: Exception) -> str:
    """Return an error of obstore in one line: the code in the storage's answer, and none of its other content."""
    line = str(error).partition("\n")[0]
    found = _CODE.search(line)
    return line.partition("<")[0].strip()[:MAX_TOLD_CHARACTERS] + (f" {found[1]}" if found else "")


def access_keys(environment: Mapping[str, str]) -> AccessKeys:
    """Return the keys in the environment. Errors: UnusableBucketError."""
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    missing = [name for name in names if not environment.get(name, "").strip()]
    if missing:
        raise UnusableBucketError(f"PENSTOCK_STORAGE_URL names a bucket, and its keys are missing: set {missing[0]}.")
    access_key, secret_key = (environment[name].strip() for name in names)
    return AccessKeys(access_key, secret_key, environment.get("AWS_SESSION_TOKEN", "").strip() or None)
