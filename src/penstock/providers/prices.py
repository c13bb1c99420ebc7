"""What a call cost, in millionths of a US dollar.

    tokens reported, model known to genai-prices   -> computed
    seconds reported, `cost_usd_second` in the file -> computed
    a price reported                                -> that
    otherwise                                       -> the product file's `cost_usd`

It is marked as estimated where the vendor reported nothing to go by.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

import genai_prices

from penstock.product.schema_providers import Provider
from penstock.providers.seam import Finished, Output, ProviderError

MICRODOLLARS = 1_000_000
_SAMPLE_TOKENS = 10_000  # fewer than cost more by the token
MAX_AMOUNT = 1e6  # dollars or seconds: more than this is a slip of the vendor


@dataclass(frozen=True)
class Tokens:
    """Tokens that a vendor reports, in (`read`) and out (`written`); the others are parts of these.

    Args:
        cached: of `read`, what was found in the vendor's cache; `cache_written`, what was put there.
    """

    read: int = 0
    written: int = 0
    images_in: int = 0
    images_out: int = 0
    cached: int = 0
    cache_written: int = 0

    @property
    def total(self) -> int:
        """What counts against a limit of tokens."""
        return self.read + self.written


@dataclass(frozen=True)
class Bill:
    """What a call cost, whatever came of it.

    Args:
        microdollars: millionths of a US dollar.
        estimated: the vendor reported nothing to go by.
        tokens: that the vendor reports.
        full_until: as in `Finished`.
    """

    microdollars: int | None
    estimated: bool
    tokens: int | None = None
    full_until: float | None = None

    def finished(self, *outputs: Output, **values: str) -> Finished:
        """Return work that is done, with its price."""
        return Finished(outputs, values, self.microdollars, self.tokens, self.estimated, self.full_until)

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Give failures within their price: an answer that can't be used is billed like any other."""
        try:
            yield
        except ProviderError as error:
            error.cost_microdollars, error.cost_estimated, error.tokens = self.microdollars, self.estimated, self.tokens
            raise


def bill_of(vendor: str, model: str, tokens: Tokens | None, settings: Provider) -> Bill:
    """Return what a call cost that is billed by tokens.

    Args:
        vendor: as genai-prices names it.
        tokens: what the vendor reported; None when it reported nothing.
    """
    if tokens is None:
        return flat_bill(settings)
    computed = _computed(vendor, model, tokens)
    return Bill(usual_cost(settings) if computed is None else computed, estimated=False, tokens=tokens.total)


def token_prices(vendor: str, model: str, *, pictures: bool) -> tuple[Decimal, Decimal] | None:
    """Return US dollars for a million tokens in and out; None where genai-prices doesn't know the model.

    Args:
        vendor: as genai-prices names it.
        pictures: whether what comes out are pictures.
    """
    out = Tokens(written=_SAMPLE_TOKENS, images_out=_SAMPLE_TOKENS if pictures else 0)
    costs = [_computed(vendor, model, each) for each in (Tokens(read=_SAMPLE_TOKENS), out)]
    into, out_of = (None if cost is None else Decimal(cost) / _SAMPLE_TOKENS for cost in costs)
    return None if into is None or out_of is None else (into, out_of)


def flat_bill(settings: Provider) -> Bill:
    """Return what a call usually costs by the product file, where the vendor reports nothing."""
    return Bill(usual_cost(settings), estimated=True)


def timed_bill(settings: Provider, seconds: object, *, whole: bool) -> Bill:
    """Return what a call cost that is billed by time.

    Args:
        seconds: that the vendor reports.
        whole: whether these are all the seconds that the vendor bills.
    """
    amount = _amount(seconds)
    if settings.cost_usd_second is None or amount is None:
        return flat_bill(settings)
    return Bill(_micro(amount * Decimal(settings.cost_usd_second)), estimated=not whole)


def reported_bill(dollars: object) -> Bill | None:
    """Return the price that a vendor names itself, in US dollars; None if it names none."""
    amount = _amount(dollars)
    return None if amount is None else Bill(_micro(amount), estimated=False)


def usual_cost(settings: Provider) -> int:
    """Return what one call costs by the product file, in microdollars; 0 where it says nothing."""
    return microdollars(settings.cost_usd)


def dollars(microdollars: int) -> str:
    """Write millionths of a US dollar as dollars, with no more digits than it takes."""
    return f"{Decimal(microdollars) / MICRODOLLARS:f}"


def microdollars(dollars: str) -> int:
    """Return an amount in US dollars, as the product file has it, in millionths of one."""
    return _micro(Decimal(dollars))


def _amount(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < MAX_AMOUNT:
        return None
    return Decimal(str(value))


def _computed(vendor: str, model: str, tokens: Tokens) -> int | None:
    usage = genai_prices.Usage(
        input_tokens=tokens.read,
        output_tokens=tokens.written,
        input_image_tokens=tokens.images_in or None,
        output_image_tokens=tokens.images_out or None,
        cache_read_tokens=tokens.cached or None,
        cache_write_tokens=tokens.cache_written or None,
    )
    try:
        return _micro(genai_prices.calc_price(usage, model, provider_id=vendor).total_price)
    except (LookupError, ValueError):  # not in its table, or figures that contradict each other
        return None


def _micro(amount: Decimal) -> int:
    return int((amount * MICRODOLLARS).quantize(Decimal(1), ROUND_HALF_UP))
