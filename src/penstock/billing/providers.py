"""Which payment provider a process speaks to: the product file's, the test checkout in development, or none."""

from collections.abc import Callable, Mapping

import structlog

from penstock.billing.payments import Payments
from penstock.billing.polar import Polar
from penstock.billing.stripe import Stripe
from penstock.billing.test_checkout import TestPayments
from penstock.kit.clock import Clock
from penstock.product.availability import payments_lack
from penstock.product.schema import Product

log = structlog.get_logger()


def open_payments(
    product: Callable[[], Product], environment: Mapping[str, str], clock: Clock, *, test: bool
) -> Payments | None:
    """Return the payment provider of a product.

    Args:
        environment: where its secrets are.
        test: whether the test checkout may stand in where none is set up.
    """
    terms = product().payments
    if terms.provider is None or payments_lack(product(), environment):
        if test:
            log.warning("payments.test_checkout", told="no money moves; set up a payment provider to sell")
            return TestPayments(clock, product)
        return None
    assert terms.key_env is not None
    assert terms.webhook_secret_env is not None
    key, secret = environment[terms.key_env].strip(), environment[terms.webhook_secret_env].strip()
    if terms.provider == "polar":
        return Polar(key, secret, product, terms.base_url)
    return Stripe(key, secret, product, terms.base_url)
