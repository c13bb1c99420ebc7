"""Access tokens: each way in which one can be wrong is refused."""

import base64
import json
from collections.abc import Callable
from typing import Any

import httpx2
import jwt
import pytest
from tests.unit.accounts.stage import SECRET, Stage, bearer, problem_of

from penstock.accounts.digests import Digests
from penstock.accounts.tokens import ACCESS_TTL_S, CLOCK_SKEW_S, AccessTokens
from penstock.kit.errors import Problem

KEY = Digests(SECRET).key("access token")
NOW = 1_800_000_000

Claims = dict[str, Any]
no_key: Any = None  # the library's types rule it out


def claims_of(token: str) -> Claims:
    claims: Claims = jwt.decode(token, options={"verify_signature": False})
    return claims


def signed(claims: Claims, key: bytes = KEY, algorithm: str = "HS256") -> str:
    return jwt.encode(claims, key, algorithm=algorithm)


def without(claim: str) -> Callable[[Claims], str]:
    return lambda claims: signed({name: value for name, value in claims.items() if name != claim})


def having(**changes: Any) -> Callable[[Claims], str]:
    return lambda claims: signed({**claims, **changes})


def unsigned(claims: Claims) -> str:
    header = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').rstrip(b"=").decode()
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"{header}.{body}."


def promoted(claims: Claims) -> str:
    """Return a token whose payload was exchanged for another under the old signature."""
    header, _, signature = signed(claims).split(".")
    body = base64.urlsafe_b64encode(json.dumps({**claims, "sub": "acc_other"}).encode()).rstrip(b"=").decode()
    return f"{header}.{body}.{signature}"


WRONG: dict[str, Callable[[Claims], str]] = {
    "algorithm none": unsigned,
    "algorithm none, by the library": lambda claims: jwt.encode(claims, no_key, algorithm="none"),
    "another algorithm, right key": lambda claims: signed(claims, KEY + KEY, "HS512"),
    "HS384": lambda claims: signed(claims, KEY + KEY[:16], "HS384"),
    "another key": lambda claims: signed(claims, b"another key of thirty-two bytes!"),
    "the raw secret as key": lambda claims: signed(claims, SECRET.encode()),
    "the key of another purpose": lambda claims: signed(claims, Digests(SECRET).key("refresh token")),
    "exchanged payload": promoted,
    "cut signature": lambda claims: signed(claims)[:-2],
    "no signature": lambda claims: signed(claims).rpartition(".")[0] + ".",
    "wrong issuer": having(iss="penstock/another"),
    "list of issuers": having(iss_list=["penstock/test"], iss="x"),
    "no issuer": without("iss"),
    "wrong audience": having(aud="another"),
    "list of audiences": having(aud=["penstock/api", "another"]),
    "no audience": without("aud"),
    "wrong type": having(typ="refresh"),
    "no type": without("typ"),
    "no subject": without("sub"),
    "number as subject": having(sub=7),
    "another's subject": having(sub="acc_other"),
    "no session": without("sid"),
    "unknown session": having(sid="fam_unknown"),
    "number as session": having(sid=7),
    "expired": having(exp=NOW),
    "no expiry": without("exp"),
    "text as expiry": having(exp="2999-01-01"),
    "float as expiry": having(exp=1e12),
    "truth as expiry": having(exp=True),
    "issued in the future": having(iat=NOW + CLOCK_SKEW_S + 1),
    "no time of issue": without("iat"),
    "no token": lambda _: "x",
    "two dots": lambda _: "..",
    "overlong": lambda claims: signed({**claims, "more": "x" * 4_000}),
}


@pytest.mark.parametrize("wrong", WRONG)
async def test_a_wrong_token_is_refused(shop: Stage, program: httpx2.AsyncClient, wrong: str) -> None:
    token = (await shop.signed_up())["access_token"]
    assert (await program.get("/things", headers=bearer(signed(claims_of(token))))).status_code == 200

    answer = await program.get("/things", headers=bearer(WRONG[wrong](claims_of(token))))

    assert problem_of(answer) == (401, "unauthenticated")


async def test_a_session_belongs_to_its_account(shop: Stage, program: httpx2.AsyncClient) -> None:
    ann, bob = await shop.signed_up(), await shop.signed_up("bob@example.org")
    mixed = {**claims_of(ann["access_token"]), "sub": bob["account"]["id"]}

    answer = await program.get("/things", headers=bearer(signed(mixed)))

    assert problem_of(answer) == (401, "unauthenticated")


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer  ", "Basic YTpi", "Token x", "bearer\u00a0x"])
async def test_a_header_that_is_no_bearer_token_is_refused(program: httpx2.AsyncClient, header: str) -> None:
    answer = await program.get("/open", headers=[(b"authorization", header.encode("latin-1"))])

    assert problem_of(answer) == (401, "unauthenticated")


async def test_the_scheme_may_be_in_any_case(shop: Stage, program: httpx2.AsyncClient) -> None:
    token = (await shop.signed_up())["access_token"]

    assert (await program.get("/things", headers={"authorization": f"bEARER {token}"})).status_code == 200


async def test_a_bad_token_is_refused_where_none_is_needed(shop: Stage, program: httpx2.AsyncClient) -> None:
    token = (await shop.signed_up())["access_token"]
    assert (await program.get("/open")).json() is None
    assert (await program.get("/open", headers=bearer(token))).status_code == 200

    shop.clock.advance(ACCESS_TTL_S)

    assert problem_of(await program.get("/open", headers=bearer(token))) == (401, "unauthenticated")


def test_a_token_lives_exactly_as_long_as_stated() -> None:
    tokens = AccessTokens(KEY, "penstock/test")
    token = tokens.issue("acc_1", "fam_1", NOW + 0.9)

    assert tokens.read(token, NOW + ACCESS_TTL_S - 0.001).account_id == "acc_1"
    with pytest.raises(Problem, match="session is over"):
        tokens.read(token, NOW + ACCESS_TTL_S)
    assert tokens.read_expired(token, NOW + 10 * ACCESS_TTL_S).session == "fam_1"
    with pytest.raises(Problem, match="session is over"):
        tokens.read_expired(token[:-2], NOW)


def test_another_products_token_does_not_hold() -> None:
    token = AccessTokens(KEY, "penstock/one").issue("acc_1", "fam_1", NOW)

    with pytest.raises(Problem, match="session is over"):
        AccessTokens(KEY, "penstock/two").read(token, NOW)


def test_purposes_have_keys_of_their_own() -> None:
    digests = Digests(SECRET)

    assert digests.of("refresh token", "x") != digests.of("api key", "x")
    assert digests.of("api key", "x") != Digests(SECRET + "!").of("api key", "x")
