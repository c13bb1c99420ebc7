"""The ways to sign in that the product file names, as a process has them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from penstock.accounts import AccountsService
from penstock.accounts.guard import Guard
from penstock.accounts.issued_sessions import IssuedSessions, SessionIssuer
from penstock.accounts.issued_tokens import judge_audience, judge_clerk
from penstock.accounts.issuers import KEYS, Issuer
from penstock.accounts.openid import OpenId, Provider
from penstock.kit.clock import Clock
from penstock.kit.database import Database
from penstock.kit.json_client import JsonClient
from penstock.product.availability import openid_lacks
from penstock.product.schema import Product


def issued_sessions(product: Product, clock: Clock, client: JsonClient) -> IssuedSessions:
    """Return the sessions of Clerk and Auth0 that are taken."""
    issuers = []
    if (clerk := product.sign_in.clerk) is not None:
        judge = partial(judge_clerk, origins=clerk.origins)
        issuers.append(SessionIssuer(_with_keys(clerk.issuer, client, clock), judge, in_cookie=True))
    if (auth0 := product.sign_in.auth0) is not None:
        judge = partial(judge_audience, audience=auth0.audience)
        issuers.append(SessionIssuer(_with_keys(auth0.issuer, client, clock), judge))
    return IssuedSessions(issuers, clock)


def _with_keys(issuer: str, client: JsonClient, clock: Clock) -> Issuer:
    """Return an issuer whose keys lie at the usual address: both say so, and one request less is one less to fail."""
    return Issuer(issuer, client, clock, keys_at=issuer.rstrip("/") + KEYS)


@dataclass(frozen=True)
class SignInParts:
    """What the ways to sign in are made of."""

    database: Database
    clock: Clock
    guard: Guard
    client: JsonClient


def open_openid(
    parts: SignInParts, accounts: AccountsService, product: Product, environment: Mapping[str, str]
) -> OpenId:
    """Return the OpenID providers that are on.

    Args:
        environment: where their secrets are.
    """
    lacks = openid_lacks(product, environment)
    providers = {}
    for name, terms in product.sign_in.openid.items():
        if name in lacks:
            continue
        variable = terms.client_secret_env
        secret = None if variable is None else environment[variable].strip()
        issuer = Issuer(terms.issuer, parts.client, parts.clock)
        providers[name] = Provider(name, terms.title, issuer, terms.client_id, secret, terms.scopes)
    return OpenId(parts.database, parts.clock, accounts, parts.guard, parts.client, providers)
