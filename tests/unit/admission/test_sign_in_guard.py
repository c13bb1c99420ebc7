"""Slowing down guesses without locking out who is right."""

import pytest

from penstock.admission import sign_in
from penstock.admission.limiter import InProcessRateLimiter
from penstock.admission.sign_in import (
    ADDRESS,
    EMAIL,
    PAIR,
    Patience,
    SignInGuard,
    Tries,
    faded,
    network_of,
    tried,
    wait_s,
)
from penstock.kit.clock import ManualClock

NOW = 1_800_000_000.0
ANN = "ann@example.org"
HOME, ATTACKER = "203.0.113.7", "198.51.100.9"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def guard(clock: ManualClock) -> SignInGuard:
    return SignInGuard(clock, InProcessRateLimiter(clock))


def test_the_delay_doubles_after_the_free_tries_up_to_the_longest() -> None:
    patience = Patience(free=3, first_delay_s=2, longest_s=60, fade_s=1e9)
    tries, waits = Tries(), []
    for _ in range(10):
        tries = tried(tries, patience, NOW)
        waits.append(wait_s(tries, patience, NOW))

    assert waits == [0, 0, 2, 4, 8, 16, 32, 60, 60, 60]
    assert wait_s(Tries(10_000, NOW), patience, NOW) == 60
    assert wait_s(tries, patience, NOW + 60) == 0


def test_tries_fade() -> None:
    patience = Patience(free=3, first_delay_s=2, longest_s=60, fade_s=100)

    assert faded(Tries(5, NOW), patience, NOW + 250).count == 2.5
    assert faded(Tries(5, NOW), patience, NOW + 1_000).count == 0
    assert faded(Tries(5, NOW), patience, NOW - 1_000).count == 5


def test_a_clock_set_back_delays_nobody_for_longer_than_the_longest() -> None:
    assert wait_s(Tries(100, NOW + 1e6), PAIR, NOW) == PAIR.longest_s


async def attempts(guard: SignInGuard, clock: ManualClock, email: str, address: str, seconds: int) -> int:
    """Try at every permitted moment for `seconds` and return how many tries came through."""
    through, until = 0, clock.now() + seconds
    while clock.now() < until:
        wait = await guard.sign_in(email, address)
        through += wait == 0
        clock.advance(max(wait, 0.01))
    return through


async def test_one_guesser_gets_few_tries_a_day(guard: SignInGuard, clock: ManualClock) -> None:
    assert await attempts(guard, clock, ANN, ATTACKER, 86_400) < 120


async def test_one_guesser_at_many_accounts_gets_few_tries_an_hour(guard: SignInGuard, clock: ManualClock) -> None:
    through, start = 0, clock.now()
    while clock.now() < start + 3_600:
        wait = await guard.sign_in(f"customer{through}@example.org", ATTACKER)
        through += wait == 0
        clock.advance(max(wait, 0.01))

    assert through < 100


async def test_many_guessers_at_one_account_are_slowed_down_together(guard: SignInGuard, clock: ManualClock) -> None:
    through = 0
    for number in range(10_000):
        through += await guard.sign_in(ANN, f"10.0.{number // 250}.{number % 250}") == 0
        clock.advance(0.36)

    assert through < EMAIL.free + 90  # of ten thousand in an hour


async def test_the_owner_elsewhere_is_not_locked_out_by_one_guesser(guard: SignInGuard, clock: ManualClock) -> None:
    await attempts(guard, clock, ANN, ATTACKER, 3_600)
    await guard.sign_in(ANN, ATTACKER)
    assert await guard.sign_in(ANN, ATTACKER) > 0

    assert await guard.sign_in(ANN, HOME) == 0


async def test_the_owner_at_a_known_address_is_not_locked_out_by_many(guard: SignInGuard) -> None:
    assert await guard.sign_in(ANN, HOME) == 0
    await guard.signed_in(ANN, HOME)
    for number in range(200):
        await guard.sign_in(ANN, f"10.0.0.{number}")
    assert await guard.sign_in(ANN, "192.0.2.1") > 0

    assert await guard.sign_in(ANN, HOME) == 0


async def test_being_right_costs_nothing(guard: SignInGuard) -> None:
    for number in range(200):  # an office behind one address
        assert await guard.sign_in(f"worker{number}@example.org", HOME) == 0
        await guard.signed_in(f"worker{number}@example.org", HOME)


async def test_ones_own_account_does_not_excuse_guesses_at_others(guard: SignInGuard) -> None:
    through = 0
    for number in range(100):
        if await guard.sign_in("mallory@example.org", ATTACKER) == 0:
            await guard.signed_in("mallory@example.org", ATTACKER)
        through += await guard.sign_in(f"victim{number}@example.org", ATTACKER) == 0

    assert through <= ADDRESS.free


async def test_a_refused_try_does_not_count(guard: SignInGuard, clock: ManualClock) -> None:
    for _ in range(PAIR.free):
        await guard.sign_in(ANN, HOME)
    first = await guard.sign_in(ANN, HOME)
    for _ in range(100):
        assert await guard.sign_in(ANN, HOME) == first
    clock.advance(first)
    assert await guard.sign_in(ANN, HOME) == 0


async def test_memory_is_bounded(guard: SignInGuard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sign_in, "MAX_TRACKED", 10)
    for number in range(100):
        await guard.sign_in(f"a{number}@example.org", f"10.0.0.{number}")
        await guard.signed_in(f"a{number}@example.org", f"10.0.0.{number}")
        await guard.sign_in(f"b{number}@example.org", f"10.0.1.{number}")

    assert len(guard._pairs._tries) <= 10
    assert len(guard._addresses._tries) <= 10
    assert len(guard._emails._tries) <= 10
    assert len(guard._familiar) <= 10


async def test_new_accounts_and_visitors_are_limited_by_network(guard: SignInGuard, clock: ManualClock) -> None:
    waits = [await guard.new_account(f"2001:db8:1:2::{number}") for number in range(21)]
    assert waits[:20] == [0] * 20
    assert waits[20] == pytest.approx(180, abs=1e-3)
    assert await guard.new_account("2001:db8:1:3::1") == 0
    assert await guard.new_visitor("2001:db8:1:2::1") == 0
    clock.advance(waits[20])
    assert await guard.new_account("2001:db8:1:2::1") == 0


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unknown", "unknown"),
    ],
)
def test_an_address_stands_for_one_customer(address: str, network: str) -> None:
    assert network_of(address) == network
