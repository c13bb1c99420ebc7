"""What the shape of a file cannot say: whether the addresses of shared services are some, and hold no secret."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from penstock.product.mistakes import Complaint
from penstock.product.settings import ADDRESSES
from penstock.product.structure import Document


def services_complaints(document: Document) -> Iterator[Complaint]:
    """Yield what is wrong with the addresses in `[services]`."""
    services = document.get("services")
    for key, written in services.items() if isinstance(services, dict) else ():
        if key in ADDRESSES and isinstance(written, str):
            yield from _address(key, written)


def _address(key: str, written: str) -> Iterator[Complaint]:
    variable, read = ADDRESSES[key]
    try:
        read(written)
        secret = urlsplit(written).password is not None
    except ValueError as error:
        yield Complaint(("services", key), str(error), "Or leave it out: the data folder does without.")
        return
    if secret:
        reason = "holds a password, and secrets never stand in a product file"
        yield Complaint(("services", key), reason, f"Put the whole address into {variable}, which goes first.")
