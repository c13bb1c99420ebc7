"""A second opinion on Stripe's webhooks: `localstripe`, which others wrote, sends them to us.

It speaks the interface of 2017 and has no checkout, so only what has not changed since is compared: the signature, the
envelope, and ids. It is GPL and runs as a program of its own, never imported here. By itself it would listen on every
address by IPv6, so some lines in front of it give it a socket of the test's, and a folder of the test's for its files.
"""

import asyncio
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from tests.support.shop import selling

from penstock.billing import stripe_facts
from penstock.billing.payments import ReversalFact
from penstock.billing.stripe import Stripe
from penstock.billing.stripe_wire import form, verified
from penstock.kit.signed_webhooks import WebhookRefusedError

SECRET = "whsec_second_opinion"
LAUNCH = """
import builtins, os, runpy, socket, sys
real_open, folder, listening = builtins.open, sys.argv.pop(1), int(sys.argv.pop(1))
class Given(socket.socket):
    def __init__(self, family=-1, *rest, **more):
        super().__init__(socket.AF_INET if family == socket.AF_INET6 else family, *rest, **more)
    def bind(self, place):
        os.dup2(listening, self.fileno())
socket.socket = Given
builtins.open = lambda name, *rest, **more: real_open(str(name).replace("/tmp/", folder + "/", 1), *rest, **more)
runpy.run_module("localstripe", run_name="__main__")
"""
WAIT_S = 120.0  # on a machine that many share


@dataclass
class Heard:
    """Webhooks as they came, and where they come in."""

    port: int
    sent: asyncio.Queue[tuple[dict[str, str], bytes]] = field(default_factory=asyncio.Queue)


@pytest.fixture
async def heard() -> AsyncIterator[Heard]:
    listening = socket.create_server(("127.0.0.1", 0))
    made = Heard(listening.getsockname()[1])

    async def take(request: Request) -> Response:
        await made.sent.put((dict(request.headers), await request.body()))
        return Response()

    app = Starlette(routes=[Route("/hook", take, methods=["POST"])])
    serving = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None, access_log=False))
    serving.capture_signals = nullcontext  # type: ignore[method-assign,assignment]
    task = asyncio.create_task(serving.serve(sockets=[listening]))
    yield made
    serving.should_exit = True
    await task
    listening.close()


@pytest.fixture
async def stripe(tmp_path: Path, heard: Heard) -> AsyncIterator[httpx2.AsyncClient]:
    """localstripe, told to send its webhooks to us."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url, passed = f"http://127.0.0.1:{listening.getsockname()[1]}", listening.fileno()
        arguments = ("-c", LAUNCH, str(tmp_path), str(passed), "--from-scratch")
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *arguments,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            pass_fds=(passed,),
        )
    async with httpx2.AsyncClient(base_url=url, auth=("sk_test_1", ""), timeout=WAIT_S, trust_env=False) as client:
        await until_it_answers(client, process)
        hook = {"url": f"http://127.0.0.1:{heard.port}/hook", "secret": SECRET}
        assert (await client.post("/_config/webhooks/ours", json=hook)).status_code == 200
        yield client
    process.terminate()
    await process.wait()


async def until_it_answers(client: httpx2.AsyncClient, process: asyncio.subprocess.Process) -> None:
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        if process.returncode is not None:
            assert process.stderr is not None
            pytest.fail((await process.stderr.read()).decode())
        try:
            await client.get("/v1/customers")
        except httpx2.TransportError:
            await asyncio.sleep(0.05)
        else:
            return
    pytest.fail("localstripe did not start")


async def made(stripe: httpx2.AsyncClient, path: str, **values: Any) -> dict[str, Any]:
    """Make something, in our own form encoding."""
    answer = await stripe.post(path, data=dict(form(values)))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_its_webhooks_are_verified_and_its_words_are_those_of_our_stand_in(
    stripe: httpx2.AsyncClient, heard: Heard
) -> None:
    metadata = {"penstock_product": "testing", "penstock_account": "acc_ann"}
    customer = await made(stripe, "/v1/customers", email="ann@example.org", metadata=metadata)
    headers, body = await asyncio.wait_for(heard.sent.get(), WAIT_S)

    event = verified(headers, body, SECRET, time.time())
    assert (event["object"], event["type"], event["data"]["object"]["id"]) == (
        "event",
        "customer.created",
        customer["id"],
    )
    assert event["data"]["object"]["metadata"] == metadata
    assert event["created"] <= time.time()

    product = selling()
    adapter = Stripe("sk_test_1", SECRET, lambda: product)
    read = await adapter.read_webhook(headers, body, time.time())
    assert (read.id, read.type, read.facts) == (event["id"], "customer.created", ())
    await adapter.close()

    for secret, at, told in (
        ("whsec_another", 0.0, "not Stripe's"),
        (SECRET, 400.0, "too old"),
        (SECRET, -60.0, "from the future"),
    ):
        with pytest.raises(WebhookRefusedError, match=told):
            verified(headers, body, secret, event["created"] + at)


async def test_its_refunds_are_read(stripe: httpx2.AsyncClient) -> None:
    """Only the answer: it sends no webhook for a refund."""
    customer = await made(stripe, "/v1/customers", email="ann@example.org")
    card = {"object": "card", "number": "4242424242424242", "exp_month": 12, "exp_year": 2040, "cvc": "123"}
    source = await made(stripe, f"/v1/customers/{customer['id']}/sources", source=card)
    charge = await made(stripe, "/v1/charges", amount=499, currency="usd", customer=customer["id"], source=source["id"])
    refund = await made(stripe, "/v1/refunds", charge=charge["id"], amount=250)

    [fact] = stripe_facts.of_refund(refund, 1.0, selling())
    assert fact == ReversalFact(refund["id"], 1.0, charge["id"], "refund", 250, counts=True)
