"""What the tests of billing share."""

from collections.abc import Iterator

import pytest

from tests.support.sandbox import Sandbox
from tests.support.shop import Shop


@pytest.fixture
def shop(box: Sandbox) -> Iterator[Shop]:
    """A shop on each database."""
    made = Shop(box)
    yield made
    made.close()
