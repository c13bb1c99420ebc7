"""What follows from a failure: kinds decide, and what may be paid twice is not tried twice."""

import random
from typing import get_args

import pytest

from penstock.jobs.failure import GiveUp, TryAgain, after_failure, told
from penstock.jobs.flow import Claimed
from penstock.jobs.rank import BACKOFF_BASE_S
from penstock.product.texts import FailureKind
from penstock.providers.route import RETRIED
from penstock.providers.seam import FailureKind as ProviderFailureKind
from penstock.providers.seam import ProviderError
from tests.support.flows import make_product

NOW = 1_800_000_000.0
PRODUCT = make_product()
KINDS: list[ProviderFailureKind] = list(get_args(ProviderFailureKind))


def job(attempts: int = 1, operation: str = "echo") -> Claimed:
    return Claimed(
        id="job_1",
        account_id="acc_1",
        operation_id=operation,
        operation=PRODUCT.operations[operation],
        plan_id="free",
        plan=PRODUCT.plans["free"],
        product_version="v1",
        price=2,
        inputs={},
        options={},
        fence=attempts,
        attempts=attempts,
        started_at=NOW,
        product=PRODUCT,
    )


def after(
    kind: ProviderFailureKind, *, attempts: int = 1, operation: str = "echo", charged: bool = False, until: float = 0
) -> TryAgain | GiveUp:
    error = ProviderError(kind, "for operators", until=until or None)
    return after_failure(job(attempts, operation), error, charged_twice=charged, now=NOW, chance=random.Random(1))


@pytest.mark.parametrize("kind", KINDS)
def test_what_time_may_mend_is_tried_again_and_nothing_else(kind: ProviderFailureKind) -> None:
    assert isinstance(after(kind), TryAgain if kind in RETRIED else GiveUp)


def test_tries_are_counted() -> None:
    most = PRODUCT.plans["free"].attempts
    assert isinstance(after("transient", attempts=most - 1), TryAgain)
    assert isinstance(after("transient", attempts=most), GiveUp)


def test_waiting_for_capacity_costs_no_try() -> None:
    following = after("limited", attempts=100, until=NOW + 77)
    assert following == TryAgain(NOW + 77, spent=False)


def test_the_pause_is_a_backoff_unless_the_provider_says_when() -> None:
    soon = after("transient")
    assert isinstance(soon, TryAgain)
    assert NOW <= soon.run_at <= NOW + BACKOFF_BASE_S
    assert soon.spent
    assert after("transient", until=NOW + 50) == TryAgain(NOW + 50, spent=True)


def test_what_may_have_been_paid_is_not_paid_twice() -> None:
    assert isinstance(after("unknown", charged=True), GiveUp)
    assert isinstance(after("unknown", charged=True, operation="daring"), TryAgain)
    assert isinstance(after("unknown", charged=False), TryAgain)


def test_a_customer_reads_nothing_technical() -> None:
    following = after("broken")
    assert isinstance(following, GiveUp)
    assert "for operators" not in str(following.error)
    assert set(following.error) == {"code", "title", "detail", "actions"}


def test_what_the_provider_says_to_the_customer_is_passed_on() -> None:
    error = told("invalid", PRODUCT, "There is no face in this picture.")
    assert error["detail"] == "There is no face in this picture."


@pytest.mark.parametrize("kind", get_args(FailureKind))
def test_there_are_words_for_every_kind(kind: FailureKind) -> None:
    error = told(kind, PRODUCT)
    assert error["title"]
    assert error["detail"]
    assert error["actions"]


def test_every_kind_of_a_provider_has_words() -> None:
    assert set(KINDS) <= set(get_args(FailureKind))
