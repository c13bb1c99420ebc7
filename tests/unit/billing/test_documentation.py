"""docs/payments.md names every event that is read, and the version of the interface that we speak."""

import re
from pathlib import Path

from penstock.billing.stripe_facts import EVENTS
from penstock.billing.stripe_wire import VERSION

DOCUMENT = (Path(__file__).parents[3] / "docs" / "payments.md").read_text("utf-8")


def test_the_events_to_choose_are_those_that_are_read() -> None:
    rows = [
        line for line in DOCUMENT.splitlines() if re.match(r"\s*\| `(invoice|customer|checkout|refund|charge)", line)
    ]
    named = set()
    for row in rows:
        first, *others = re.findall(r"`([a-z_.]+)`", row.split("|")[1])
        stem = first.rpartition(".")[0]
        named |= {first, *(f"{stem}{other}" for other in others)}

    assert named == set(EVENTS)


def test_the_version_is_the_one_that_is_sent() -> None:
    assert f"**{VERSION}**" in DOCUMENT
