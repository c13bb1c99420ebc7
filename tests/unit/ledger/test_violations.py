"""The invariants find what is wrong: for each sentence, a table that was tampered with until it fires."""

import pytest

from penstock.ledger import queries
from penstock.ledger import service as ledger
from penstock.ledger.service import Grant
from tests.support.sandbox import Sandbox

TAMPERED = {
    "wallet differs from the book": ["UPDATE wallets SET available = available + 1, debt = 0"],
    "wallet differs from its lots": ["UPDATE wallets SET available = available - 1"],
    "wallet differs from its open holds": ["UPDATE wallets SET held = held + 1"],
    "lot differs from the book": ["UPDATE lots SET remaining = remaining - 1"],
    "hold differs from the lots it took from": ["UPDATE hold_lots SET amount = amount + 1 WHERE job_id = 'job_open'"],
    "hold differs from the book": ["UPDATE holds SET captured = 1 WHERE job_id = 'job_done'"],
    "transfer without a hold": ["UPDATE transfers SET job_id = 'job_gone' WHERE kind = 'capture'"],
    "transfer without a wallet": ["UPDATE transfers SET account_id = 'acc_gone' WHERE kind = 'grant'"],
}


@pytest.fixture
def busy(box: Sandbox) -> Sandbox:
    """A customer with credits, an open hold, and one that was captured in part."""
    box.do(ledger.grant, "acc_ann", Grant(20, "gift", "start", "For testing"))
    box.do(lambda tx: ledger.hold(tx, ledger.lock(tx, "acc_ann"), "job_open", 3, "A job"))
    box.do(lambda tx: ledger.hold(tx, ledger.lock(tx, "acc_ann"), "job_done", 5, "A job"))
    box.do(lambda tx: ledger.capture(tx, ledger.lock(tx, "acc_ann"), "job_done", 4, "Done"))
    return box


def test_a_ledger_that_nobody_tampered_with_is_clean(busy: Sandbox) -> None:
    assert busy.do(ledger.violations) == []


@pytest.mark.parametrize("sentence", TAMPERED)
def test_tampering_is_found(busy: Sandbox, sentence: str) -> None:
    for statement in TAMPERED[sentence]:
        assert busy.run(statement) > 0
    assert sentence in {said.split(":")[0] for said in busy.do(ledger.violations)}


def test_every_sentence_is_tried() -> None:
    said = {part.split("'")[1] for part in queries.VIOLATIONS.split("SELECT ")[1:] if part.startswith("'")}
    assert said == set(TAMPERED)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE wallets SET available = -1",
        "UPDATE wallets SET held = -1",
        "UPDATE wallets SET debt = -1",
        "UPDATE lots SET remaining = granted + 1",
        "UPDATE lots SET remaining = -1",
        "UPDATE lots SET closed_at = 1",
        "UPDATE holds SET captured = amount + 1",
        "UPDATE holds SET state = 'lost'",
        "UPDATE transfers SET amount = 0",
        "UPDATE transfers SET debit = credit",
    ],
)
def test_the_tables_themselves_refuse_what_can_never_be(busy: Sandbox, statement: str) -> None:
    with pytest.raises(Exception, match=r"(?i)check constraint"):
        busy.run(statement)
