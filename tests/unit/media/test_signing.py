"""What we sign is what Amazon's documentation and botocore sign."""

import base64
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.auth import S3SigV4PostAuth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from penstock.media.signing import MAX_SIGNED_S, AccessKeys, signed_url, upload_form
from penstock.product.storage_url import read_storage_url

# From "Authenticating Requests: Using Query Parameters" in the Amazon S3 API reference.
DOCUMENTED = AccessKeys("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
DOCUMENTED_AT = datetime(2013, 5, 24, tzinfo=UTC).timestamp()
NOW = datetime(2026, 11, 21, 23, 59, 58, tzinfo=UTC)

KEYS = {
    "plain": AccessKeys("PENSTOCKKEY", "a/secret+of=some length"),
    "passing": AccessKeys("PENSTOCKKEY", "secret", "a token/with+signs="),
}


@pytest.fixture(params=KEYS)
def keys(request: pytest.FixtureRequest) -> AccessKeys:
    return KEYS[request.param]


@pytest.fixture(autouse=True)
def botocore_at_our_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Botocore looks at the clock itself."""
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda **_: NOW.replace(tzinfo=None), raising=True)


def of_botocore(keys: AccessKeys) -> Credentials:
    return Credentials(keys.access_key, keys.secret_key, keys.session_token)


def test_the_vector_in_the_documentation() -> None:
    url = signed_url(
        "GET",
        "https://examplebucket.s3.amazonaws.com/test.txt",
        {},
        "us-east-1",
        DOCUMENTED,
        at=DOCUMENTED_AT,
        life_s=86_400,
    )
    expected = "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    assert parse_qs(urlsplit(url).query)["X-Amz-Signature"] == [expected]


@pytest.mark.parametrize("path", ["/bucket/of/tests/results/ab/res_1/full.jpg", "/bucket/with space/ü~/é+&=%.jpg", ""])
@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1"])
def test_addresses_are_those_of_botocore(keys: AccessKeys, path: str, region: str) -> None:
    query = {
        "response-content-disposition": 'attachment; filename="line art ü.jpg"',
        "response-content-type": "image/jpeg",
        "x": "",
    }
    url = f"http://localhost:9000{path}"
    ours = signed_url("GET", url, query, region, keys, at=NOW.timestamp(), life_s=600)
    request = AWSRequest("GET", ours.partition("?")[0], params=query)
    S3SigV4QueryAuth(of_botocore(keys), "s3", region, expires=600).add_auth(request)
    assert parse_qs(urlsplit(ours).query, keep_blank_values=True) == parse_qs(
        urlsplit(request.url).query, keep_blank_values=True
    )


def test_forms_are_signed_as_botocore_signs_them(keys: AccessKeys) -> None:
    address = read_storage_url("s3://bucket/pre/fix?endpoint=http://localhost:9000&region=eu-central-1")
    form = upload_form(address, "incoming/ab/upl_1", 12_345, keys, at=NOW.timestamp(), life_s=600)
    policy = json.loads(base64.b64decode(form.fields["policy"]))
    request = AWSRequest("POST", form.url)
    bare = [each for each in policy["conditions"] if not any("x-amz" in str(name) for name in each)]
    request.context["s3-presign-post-fields"] = {}
    request.context["s3-presign-post-policy"] = {"expiration": policy["expiration"], "conditions": bare}
    S3SigV4PostAuth(of_botocore(keys), "s3", "eu-central-1").add_auth(request)
    theirs: dict[str, Any] = request.context["s3-presign-post-fields"]
    both = json.loads(base64.b64decode(theirs["policy"]))
    assert sorted(map(json.dumps, policy["conditions"])) == sorted(map(json.dumps, both["conditions"]))
    for name in ("x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-security-token"):
        assert form.fields.get(name) == theirs.get(name)
    again = S3SigV4PostAuth(of_botocore(keys), "s3", "eu-central-1")
    request.context["timestamp"] = theirs["x-amz-date"]
    assert again.signature(form.fields["policy"], request) == form.fields["x-amz-signature"]


def test_a_form_allows_one_file_of_one_size_for_a_while() -> None:
    address = read_storage_url("s3://bucket/pre/fix?region=eu-west-1")
    form = upload_form(address, "incoming/ab/upl_1", 12_345, KEYS["plain"], at=NOW.timestamp(), life_s=600)
    policy = json.loads(base64.b64decode(form.fields["policy"]))
    assert form.url == "https://bucket.s3.eu-west-1.amazonaws.com"
    assert policy["expiration"] == "2026-11-22T00:09:58Z"
    assert {"bucket": "bucket"} in policy["conditions"]
    assert {"key": "pre/fix/incoming/ab/upl_1"} in policy["conditions"]
    assert ["content-length-range", 12_345, 12_345] in policy["conditions"]
    named = {name for each in policy["conditions"] if isinstance(each, dict) for name in each}
    assert set(form.fields) - {"policy", "x-amz-signature"} | {"bucket"} == named, "no field is left open"


def test_secrets_are_not_shown() -> None:
    assert "secret" not in repr(KEYS["passing"])
    assert "token" not in repr(KEYS["passing"]).replace("session_token", "")
    url = signed_url("GET", "https://a.b/c", {}, "r", KEYS["plain"], at=0, life_s=1)
    assert "secret" not in url


@pytest.mark.parametrize("life_s", [0, MAX_SIGNED_S + 1])
def test_no_address_lives_for_ever(life_s: int) -> None:
    with pytest.raises(AssertionError):
        signed_url("GET", "https://a.b/c", {}, "r", KEYS["plain"], at=0, life_s=life_s)
