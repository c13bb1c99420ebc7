"""Who calls, as the app's endpoints ask it: found out by accounts, counted against the limit, named in the log."""

import structlog
from starlette.requests import HTTPConnection

from penstock.accounts import AccountsService
from penstock.admission.headers import rate_limit_headers
from penstock.admission.limiter import RateLimiter
from penstock.admission.rates import Rate
from penstock.kit import extra_headers
from penstock.kit.caller import Caller
from penstock.kit.durations import in_words
from penstock.kit.errors import Action, Problem

# Of one account, whatever it does: far above what people and well-behaved programs need, far below what would harm.
REQUESTS = Rate.per("requests", burst=1_200, window_s=60)


class Callers:
    """What `kit.caller` asks of `app.state`."""

    def __init__(self, accounts: AccountsService, limiter: RateLimiter) -> None:
        self._accounts, self._limiter = accounts, limiter

    async def identify(self, connection: HTTPConnection) -> Caller | None:
        """Return who calls, None without credentials. Errors: those of accounts; `rate_limited`."""
        caller = await self._accounts.identify(connection)
        if caller is not None:
            await self._count(connection, caller)
        return caller

    async def welcome(self, connection: HTTPConnection) -> Caller | None:
        """Open an anonymous account for a call without credentials, where the product has visitors."""
        caller = await self._accounts.welcome(connection)
        if caller is not None:
            structlog.contextvars.bind_contextvars(account_id=caller.account_id)
        return caller

    async def _count(self, connection: HTTPConnection, caller: Caller) -> None:
        structlog.contextvars.bind_contextvars(account_id=caller.account_id)
        decision = await self._limiter.take(caller.account_id, REQUESTS)
        extra_headers.add(connection, rate_limit_headers([(REQUESTS, decision)]))
        if not decision.allowed:
            wait = in_words(decision.retry_after_s)
            raise Problem(
                "rate_limited",
                f"That were more than {REQUESTS.burst:,} requests in a minute. Please go on in {wait}.",
                actions=[Action("wait", f"Try again in {wait}")],
                retry_after_s=decision.retry_after_s,
            )
