"""What is sent to Stripe, once; and whose webhooks are believed."""

import asyncio
import hashlib
import hmac
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from penstock.billing.payments import PaymentRefusedError, PaymentUnavailableError
from penstock.billing.stripe_wire import StripeWire, form, verified
from penstock.kit.clock import ManualClock
from penstock.kit.signed_webhooks import TOLERANCE_S, WebhookRefusedError
from tests.support.stripe_server import KEY, SECRET, Delivery, StripeServer, read_form


@pytest.fixture
def server() -> StripeServer:
    return StripeServer(ManualClock())


@pytest.fixture
def wire(server: StripeServer) -> Iterator[StripeWire]:
    made = StripeWire(KEY, "http://stripe.test", httpx2.ASGITransport(Dropping(server)))
    yield made
    asyncio.run(made.close())


class Dropping:
    """A server whose lost answers look lost to the client."""

    def __init__(self, server: StripeServer) -> None:
        self._server = server

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await self._server(scope, receive, send)
        except ConnectionResetError as error:
            raise httpx2.ReadError("lost") from error


def refused(sent: Delivery, now: float, secret: str = SECRET) -> str:
    with pytest.raises(WebhookRefusedError) as refusal:
        verified(sent.headers, sent.body, secret, now)
    return str(refusal.value)


def an_event(server: StripeServer) -> dict[str, Any]:
    return server.event("invoice.paid", {"id": "in_1"})


def test_a_signed_event_is_read(server: StripeServer) -> None:
    sent = server.delivery(an_event(server))

    assert verified(sent.headers, sent.body, SECRET, server.clock.now())["type"] == "invoice.paid"


def test_an_event_signed_with_several_secrets_is_read(server: StripeServer) -> None:
    sent = server.delivery(an_event(server))
    sent.headers["stripe-signature"] += ",v1=0000,v0=1111"

    assert verified(sent.headers, sent.body, SECRET, server.clock.now())


def test_a_forged_event_is_refused(server: StripeServer) -> None:
    now = server.clock.now()
    forged = server.delivery(an_event(server), secret="whsec_guessed")
    changed = server.delivery(an_event(server))

    assert refused(forged, now) == "the signature is not Stripe's"
    assert refused(Delivery(changed.headers, changed.body + b" "), now) == "the signature is not Stripe's"


def test_an_old_event_is_refused_after_five_minutes(server: StripeServer) -> None:
    sent, now = server.delivery(an_event(server)), int(server.clock.now())

    assert verified(sent.headers, sent.body, SECRET, now + TOLERANCE_S)
    assert refused(sent, now + TOLERANCE_S + 1) == "the signature is too old"


def test_an_event_from_the_future_is_refused(server: StripeServer) -> None:
    now = server.clock.now()
    sent = server.delivery(an_event(server), signed_at=now + 60)

    assert refused(sent, now) == "the signature is from the future"


def test_a_time_that_was_not_signed_is_refused(server: StripeServer) -> None:
    sent = server.delivery(an_event(server), signed_at=1_000)
    now = int(server.clock.now())
    sent.headers["stripe-signature"] = sent.headers["stripe-signature"].replace("t=1000", f"t={now}")

    assert refused(sent, now) == "the signature is not Stripe's"


@pytest.mark.parametrize("header", [None, "", "t=1", "v1=00", "t=x,v1=00", "t=1,t=2,v1=00", "t=²,v1=00", "v1=é,t=1"])
def test_what_is_no_signature_is_refused(server: StripeServer, header: str | None) -> None:
    sent = server.delivery(an_event(server))
    headers = {} if header is None else {"stripe-signature": header}

    assert refused(Delivery(headers, sent.body), server.clock.now()).startswith(("there is no", "the signature is not"))


@pytest.mark.parametrize("body", [b"no json", b"[]", b'{"object": "invoice"}'])
def test_a_signed_body_that_is_no_event_is_refused(server: StripeServer, body: bytes) -> None:

    digest = hmac.new(SECRET.encode(), b"100." + body, hashlib.sha256).hexdigest()

    assert refused(Delivery({"stripe-signature": f"t=100,v1={digest}"}, body), 100).startswith("the body is no")


def test_values_are_encoded_as_stripe_reads_them() -> None:
    values = {"a": {"b": [{"c": 1}, {"c": True}]}, "d": None, "e": "x y"}
    encoded = dict(form(values))

    assert encoded == {"a[b][0][c]": "1", "a[b][1][c]": "true", "e": "x y"}
    assert read_form("a[b][0][c]=1&a[b][1][c]=true&e=x+y") == {"a": {"b": [{"c": "1"}, {"c": "true"}]}, "e": "x y"}


async def test_a_change_whose_answer_was_lost_is_made_once(server: StripeServer, wire: StripeWire) -> None:
    server.lose_answers = 1
    made = await wire.post("/v1/customers", {"email": "ann@example.org"}, "key")

    assert made.values["id"] == "cus_1"
    assert len(server.things["customers"]) == 1
    assert server.calls == [("POST", "/v1/customers")] * 2


async def test_answers_that_stay_away_are_told(server: StripeServer, wire: StripeWire) -> None:
    server.lose_answers = 2
    with pytest.raises(PaymentUnavailableError, match="did not answer"):
        await wire.post("/v1/customers", {}, "key")


async def test_an_answer_500_is_asked_for_once_more(server: StripeServer, wire: StripeWire) -> None:
    server.broken_answers = 1
    assert (await wire.post("/v1/customers", {}, "key")).values["object"] == "customer"

    server.broken_answers = 2
    with pytest.raises(PaymentUnavailableError, match="500"):
        await wire.get("/v1/customers")


async def test_a_refusal_says_why_and_is_not_repeated(server: StripeServer, wire: StripeWire) -> None:
    with pytest.raises(PaymentRefusedError, match="resource_missing No such customer"):
        await wire.get("/v1/customers/cus_9")
    assert len(server.calls) == 1


async def test_a_key_used_for_something_else_is_refused(server: StripeServer, wire: StripeWire) -> None:
    await wire.post("/v1/customers", {"email": "ann@example.org"}, "key")
    with pytest.raises(PaymentRefusedError, match="idempotency"):
        await wire.post("/v1/customers", {"email": "bob@example.org"}, "key")


async def test_a_wrong_key_is_refused(server: StripeServer) -> None:
    wire = StripeWire("sk_wrong", "http://stripe.test", httpx2.ASGITransport(server))
    with pytest.raises(PaymentRefusedError, match="Invalid API Key"):
        await wire.get("/v1/customers")
    await wire.close()


async def test_lists_are_read_to_their_end(server: StripeServer, wire: StripeWire) -> None:
    for nth in range(230):
        await wire.post("/v1/customers", {"email": f"{nth}@example.org"}, f"key{nth}")
    found = [entry["id"] async for entry, at in wire.pages("/v1/customers", {}) if at == int(server.clock.now())]

    assert len(set(found)) == 230


async def test_an_answer_that_is_no_json_is_told() -> None:
    def garbled(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, text="<html>", headers={"date": "Mon, 01 Mar 2027 12:00:00 GMT"})

    wire = StripeWire(KEY, "http://stripe.test", httpx2.MockTransport(garbled))
    with pytest.raises(PaymentUnavailableError, match="can't be read"):
        await wire.get("/v1/customers")
    await wire.close()
