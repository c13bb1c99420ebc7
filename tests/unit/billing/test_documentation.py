"""docs/payments.md names every event that is read, and the versions of the interfaces that we speak."""

import re
from pathlib import Path

import pytest

from penstock.billing.polar_facts import EVENTS as POLAR
from penstock.billing.polar_wire import VERSION as POLAR_VERSION
from penstock.billing.stripe_facts import EVENTS as STRIPE
from penstock.billing.stripe_wire import VERSION

DOCUMENT = (Path(__file__).parents[3] / "docs" / "payments.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("begins", "read"), [("invoice|customer|checkout|refund|charge", STRIPE), ("order|refund|subscription", POLAR)]
)
def test_the_events_to_choose_are_those_that_are_read(begins: str, read: tuple[str, ...]) -> None:
    heading = "## Polar" if read is POLAR else "## Stripe"
    section = DOCUMENT[DOCUMENT.index(heading) :].split("\n## ")[0]
    rows = [line for line in section.splitlines() if re.match(rf"\s*\| `({begins})", line)]
    named = set()
    for row in rows:
        first, *others = re.findall(r"`([a-z_.]+)`", row.split("|")[1])
        stem = first.rpartition(".")[0]
        named |= {first, *(f"{stem}{other}" for other in others)}

    assert named == set(read)


def test_the_versions_are_those_that_are_sent() -> None:
    assert f"**{VERSION}**" in DOCUMENT
    assert f"**{POLAR_VERSION}**" in DOCUMENT
