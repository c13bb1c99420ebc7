"""Every table of Penstock: importing the models of all domains is what puts them into the one metadata."""

import penstock.accounts.models
import penstock.billing.models
import penstock.jobs.models
import penstock.ledger.models
import penstock.media.models
import penstock.notify.models
import penstock.observability.models
import penstock.product.models  # noqa: F401 - each import declares tables
from penstock.kit.database import metadata

__all__ = ["metadata"]
