"""Slips: taken by one at a time, given back, ended once; on SQLite and on PostgreSQL."""

from dataclasses import replace

import pytest

from penstock.kit.database import Transaction
from penstock.media.slip_queries import (
    SLIP_S,
    TAKEN_S,
    Slip,
    end_slip,
    expire_slips,
    give_back_slip,
    insert_slip,
    note_arrival,
    open_slips,
    slip_of,
    take_slip,
)
from tests.support.sandbox import Sandbox


@pytest.fixture
def slip(box: Sandbox) -> Slip:
    """A slip of `acc_ann`."""

    def insert(tx: Transaction) -> Slip:
        made = Slip("upl_1", "acc_ann", "incoming/_1/upl_1", 1_000, tx.now, tx.now + SLIP_S)
        insert_slip(tx, made)
        return made

    return box.do(insert)


def test_one_takes_it_at_a_time(box: Sandbox, slip: Slip) -> None:
    assert box.do(slip_of, slip.id) == slip
    taken = box.do(take_slip, slip.id, "acc_ann")
    assert taken == replace(slip, taken_at=box.clock.now())
    assert box.do(take_slip, slip.id, "acc_ann") is None
    box.do(give_back_slip, taken)
    assert box.do(take_slip, slip.id, "acc_ann") is not None


def test_it_is_its_owners(box: Sandbox, slip: Slip) -> None:
    assert box.do(take_slip, slip.id, "acc_bob") is None
    assert box.do(take_slip, "upl_2", "acc_ann") is None
    assert (box.do(open_slips, "acc_ann", 9), box.do(open_slips, "acc_bob", 9)) == (1, 0)
    assert box.do(open_slips, "acc_ann", 0) == 0


def test_it_is_ended_once_and_by_whoever_has_it(box: Sandbox, slip: Slip) -> None:
    late = box.do(take_slip, slip.id, "acc_ann")
    assert late is not None
    box.clock.advance(TAKEN_S)
    taken = box.do(take_slip, slip.id, "acc_ann")
    assert taken is not None, "whoever had it is given up for lost"
    box.do(give_back_slip, late)
    assert not box.do(end_slip, late)
    assert box.do(end_slip, taken)
    assert not box.do(end_slip, taken)
    assert box.do(slip_of, slip.id) is None


def test_a_picture_arrives_once(box: Sandbox, slip: Slip) -> None:
    assert box.do(note_arrival, slip.id)
    assert not box.do(note_arrival, slip.id)
    found = box.do(slip_of, slip.id)
    assert found is not None
    assert found.arrived_at == box.clock.now()


def test_it_ends_by_itself(box: Sandbox, slip: Slip) -> None:
    box.clock.advance(SLIP_S)
    assert box.do(slip_of, slip.id) is None
    assert box.do(take_slip, slip.id, "acc_ann") is None
    assert box.do(open_slips, "acc_ann", 9) == 0
    assert box.do(expire_slips, 10) == 0, "whoever has taken it may end in peace"
    box.clock.advance(TAKEN_S)
    assert box.do(expire_slips, 0) == 0
    assert box.do(expire_slips, 10) == 1
    assert box.do(expire_slips, 10) == 0
