"""Which product file holds now, and which one a job was submitted under."""

from penstock.kit.database import Transaction
from penstock.product.loading import LoadedProduct
from penstock.product.schema import Product
from penstock.product.versions import load_version


class Catalogue:
    """The products of one process (`jobs.flow.Products`)."""

    def __init__(self, loaded: LoadedProduct) -> None:
        self._loaded = loaded

    def current(self) -> Product:
        """Return the product that new work is submitted under."""
        return self._loaded.product

    def current_version(self) -> str:
        """Return its version."""
        return self._loaded.version

    def at(self, tx: Transaction, version: str) -> Product:
        """Return the product of a version that was in force before.

        Errors: UnknownVersionError; ProductFileError for a text that this version of Penstock no longer accepts.
        """
        return self._loaded.product if version == self._loaded.version else load_version(tx, version)
