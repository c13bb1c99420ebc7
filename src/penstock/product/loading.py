"""Reading a product file: bytes, document, structure, checks, and then a product with its version and notes.

Everything wrong is found before anything is raised, and each mistake carries its line.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from penstock.product.availability import availability, off_complaints
from penstock.product.checks_offer import offer_complaints, warnings
from penstock.product.checks_services import services_complaints
from penstock.product.checks_sign_in import sign_in_complaints
from penstock.product.checks_work import work_complaints
from penstock.product.mistakes import Complaint, Mistake, Note, ProductFileError, closest, noted, placed
from penstock.product.positions import KeyPath, Locations
from penstock.product.schema import Product
from penstock.product.structure import read_structure
from penstock.product.syntax import MAX_FILE_BYTES, decode, parse

VERSION_CHARACTERS = 16  # of the SHA-256 in hexadecimal: 64 bits


@dataclass(frozen=True)
class LoadedProduct:
    """A product with the text it was read from, that text's version, and what there is to know about it."""

    product: Product
    text: str
    version: str
    notes: tuple[Note, ...]


def load_product(path: Path, environment: Mapping[str, str]) -> LoadedProduct:
    """Read and check the product file at `path`.

    Args:
        environment: decides only what the notes say is off; never whether the file is right.
    Errors: ProductFileError with every mistake.
    """
    filename = str(path)
    text = decode(_content(path), filename)
    product, locations = _read(text, filename)
    off = [noted("off", remark, locations) for remark in off_complaints(availability(product, environment))]
    likely = [noted("warning", remark, locations) for remark in warnings(product)]
    return LoadedProduct(product, text, product.version, (*off, *likely))


def parse_product(text: str, filename: str = "product.toml") -> Product:
    """Return the product that stands in `text`. Errors: ProductFileError with every mistake."""
    return _read(text, filename)[0]


def version_of(text: str) -> str:
    """Return the version of a text: the beginning of its SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:VERSION_CHARACTERS]


def _read(text: str, filename: str) -> tuple[Product, Locations]:
    document, locations = parse(text, filename)
    structure = read_structure(document, version_of(text), Path(filename).parent)
    complaints = [] if isinstance(structure, Product) else structure
    checks = (work_complaints, offer_complaints, sign_in_complaints, services_complaints)
    complaints = _unrepeated([*complaints, *(found for check in checks for found in check(document))])
    if complaints or not isinstance(structure, Product):
        raise ProductFileError(filename, [placed(complaint, locations) for complaint in complaints])
    return structure, locations


def _unrepeated(complaints: list[Complaint]) -> list[Complaint]:
    """Keep the first complaint about each value: what is of the wrong kind needs no second word."""
    found: dict[KeyPath, Complaint] = {}
    for complaint in complaints:
        found.setdefault(complaint.path, complaint)
    return list(found.values())


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ProductFileError(str(path), [_unreadable(path, error)]) from error


def _unreadable(path: Path, error: OSError) -> Mistake:
    if path.is_dir():
        return Mistake(None, None, "", "is a folder", "Name the file in it.")
    if isinstance(error, FileNotFoundError):
        beside = [found.name for found in path.parent.glob("*.toml")] if path.parent.is_dir() else []
        match = closest(path.name, beside)
        suggestion = f'Did you mean "{path.with_name(match)}"?' if match else 'Run "penstock init NAME" to make one.'
        return Mistake(None, None, "", "there is no such file", suggestion)
    return Mistake(None, None, "", f"can't be read: {(error.strerror or 'unknown reason').lower()}", None)
