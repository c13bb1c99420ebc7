"""Product files by version, so that a job runs under the one that it was submitted under."""

from functools import lru_cache

from penstock.kit.database import Transaction
from penstock.product import queries
from penstock.product.loading import LoadedProduct, parse_product
from penstock.product.schema import Product

MAX_CACHED_VERSIONS = 32  # parsed products kept in each process


class UnknownVersionError(LookupError):
    """A version that was never remembered in this database."""


def remember(tx: Transaction, loaded: LoadedProduct) -> bool:
    """Keep the text of a product file; return whether its version is new."""
    return tx.run(queries.REMEMBER, version=loaded.version, text=loaded.text, now=tx.now) == 1


def load_version(tx: Transaction, version: str) -> Product:
    """Return the product of a remembered version, parsed once for each process.

    Errors: UnknownVersionError; ProductFileError for a text that this version of Penstock no longer accepts.
    """
    text = tx.value(queries.TEXT, version=version)
    if text is None:
        raise UnknownVersionError(f"no product file of version {version} was ever in force here")
    return _parsed(str(text), version)


def load_newest(tx: Transaction) -> Product | None:
    """Return the product that was remembered last; None where none was. Errors: ProductFileError as above."""
    row = tx.one(queries.NEWEST)
    return None if row is None else _parsed(str(row["text"]), str(row["version"]))


@lru_cache(maxsize=MAX_CACHED_VERSIONS)
def _parsed(text: str, version: str) -> Product:
    return parse_product(text, f"product {version}")
