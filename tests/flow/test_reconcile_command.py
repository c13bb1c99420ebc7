"""`penstock billing reconcile` as an operator types it, against the stand-in for Stripe on a loopback port."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn
from typer.testing import CliRunner, Result

from penstock.billing import prices, queries
from penstock.billing.payments import Buyer, Returns
from penstock.billing.stripe import Stripe
from penstock.cli.main import make_app
from penstock.kit.clock import ManualClock
from penstock.product.loading import load_product
from penstock.product.settings import Settings
from tests.support.servers import SECRET, Customer, running
from tests.support.stripe_server import KEY, StripeServer
from tests.support.stripe_server import SECRET as WEBHOOK_SECRET

EXAMPLE = Path(__file__).parents[2] / "examples" / "rekindle.toml"


@contextmanager
def listening(server: StripeServer) -> Iterator[str]:
    """Let the stand-in listen on a free port, from a thread of its own."""
    opened = socket.create_server(("127.0.0.1", 0))
    serving = uvicorn.Server(uvicorn.Config(server, lifespan="off", log_config=None, access_log=False))
    serving.capture_signals = nullcontext  # type: ignore[method-assign,assignment]
    thread = threading.Thread(target=lambda: asyncio.run(serving.serve(sockets=[opened])))
    thread.start()
    try:
        yield f"http://127.0.0.1:{opened.getsockname()[1]}"
    finally:
        serving.should_exit = True
        thread.join(20)


def penstock(monkeypatch: pytest.MonkeyPatch, *arguments: str, **environment: str) -> Result:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return CliRunner().invoke(make_app(), arguments)


async def sell(folder: Path, file: Path, server: StripeServer) -> tuple[Customer, dict[str, Any]]:
    """Sell ten credits whose webhook never comes."""
    product = load_product(file, {}).product
    settings = Settings(data_dir=folder, secret=SECRET)
    adapter = Stripe(KEY, WEBHOOK_SECRET, lambda: product, "http://stripe.test", httpx2.ASGITransport(server))
    async with running(folder, product=product, works=False, settings=settings, payments=adapter) as run:
        ann = await run.customer()
        buyer, back = Buyer(ann.id, ann.email), Returns("http://x", "http://x", "http://x")
        customer = await adapter.customer(buyer)
        values = {"provider": "stripe", "id": customer, "account_id": ann.id, "now": 0.0}
        await run.services.database.write(lambda tx: tx.run(queries.INSERT_CUSTOMER, **values))
        page = await adapter.checkout(customer, buyer, prices.top_up_purchase(product, "small"), back, "key")
        return ann, server.pay(page)


def test_what_never_came_is_granted_and_what_is_wrong_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server, folder = StripeServer(ManualClock(time.time())), tmp_path / "data"
    with listening(server) as url:
        file = tmp_path / "product.toml"
        text = EXAMPLE.read_text("utf-8").replace("[payments]\n", f'[payments]\nbase_url = "{url}"\n')
        file.write_text(text, "utf-8")
        ann, session = asyncio.run(sell(folder, file, server))
        keys = {"STRIPE_SECRET_KEY": KEY, "STRIPE_WEBHOOK_SECRET": WEBHOOK_SECRET}
        ask = ("billing", "reconcile", str(file), "--data", str(folder))

        first = penstock(monkeypatch, *ask, **keys)
        assert (first.exit_code, "Mended: 1." in first.output) == (0, True), first.output
        shown = penstock(monkeypatch, "credits", "show", ann.email, "--data", str(folder))
        assert "13 available" in shown.output
        assert "Mended: 0." in penstock(monkeypatch, *ask).output

        del server.things["checkout/sessions"][session["id"]]
        flagged = penstock(monkeypatch, *ask)
        assert flagged.exit_code == 1
        assert f"{session['id']}: credits were granted" in " ".join(flagged.output.split())
        assert penstock(monkeypatch, "credits", "check", "--data", str(folder)).exit_code == 0

        server.broken_answers = 2
        down = penstock(monkeypatch, *ask)
        assert (down.exit_code, "can't be compared" in down.output) == (1, True)


def test_without_a_provider_or_a_database_there_is_nothing_to_compare(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STRIPE_SECRET_KEY", raising=False)
    folder = str(tmp_path / "data")
    ask = ("billing", "reconcile", str(EXAMPLE), "--data", folder)
    assert "penstock migrate" in penstock(monkeypatch, *ask).output

    assert penstock(monkeypatch, "migrate", "--data", folder).exit_code == 0
    refused = penstock(monkeypatch, *ask)
    assert (refused.exit_code, "No payment provider" in refused.output) == (1, True)
