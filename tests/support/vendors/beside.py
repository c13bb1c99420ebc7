"""A stand-in beside a test that has no event loop of its own: it runs on one in a thread."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from tests.support.vendors.wire import StandIn

Vendor = TypeVar("Vendor", bound=StandIn)


@contextmanager
def beside(vendor: Vendor) -> Iterator[Vendor]:
    """Serve `vendor` until the block ends."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(vendor.__aenter__(), loop).result()
        yield vendor
        asyncio.run_coroutine_threadsafe(vendor.__aexit__(), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
