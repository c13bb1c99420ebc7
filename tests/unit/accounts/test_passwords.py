"""Which passwords and addresses are accepted, and how checks share the machine."""

import asyncio
import threading

import pytest
from tests.unit.accounts.stage import EMAIL, SECRET, cheap_hash

from penstock.accounts import emails
from penstock.accounts.agents import label
from penstock.accounts.passwords import CHECKS_AT_ONCE, MAX_WAITING, Passwords, accept
from penstock.accounts.settings import AccountSettings
from penstock.kit.durations import in_words
from penstock.kit.errors import Problem


@pytest.mark.parametrize(
    "password",
    [
        "12 letter",
        "x" * 255 + "y",
        "密码密码密码密码",
        "пароль-1",
        "🐎🔋🧷🐎🔋🧷🐎🔋",
        " spaces inside ",
        "password manager",
    ],
)
def test_good_passwords_are_accepted(password: str) -> None:
    accept(password, EMAIL)


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("", "too short"),
        ("seven77", "too short"),
        ("x" * 257, "too long"),
        ("\uff41\uff42", "too short"),
        ("\ud800" * 10, "no keyboard"),
        ("password", "guessed first"),
        ("PassWord", "guessed first"),
        ("Password1!", "guessed first"),
        ("iloveyou2026", "guessed first"),
        ("12345678", "guessed first"),
        ("\uff50assword", "guessed first"),
        ("zzzzzzzzzz", "guessed first"),
        (EMAIL, "e-mail address"),
        ("ANN@Example.org", "e-mail address"),
    ],
)
def test_bad_passwords_are_refused_with_the_reason(password: str, why: str) -> None:
    with pytest.raises(Problem, match=why) as caught:
        accept(password, EMAIL)
    assert [each.field for each in caught.value.errors] == ["password"]


def test_the_name_in_the_address_is_no_password() -> None:
    with pytest.raises(Problem, match="e-mail address"):
        accept("Annabella", "annabella@example.org")


@pytest.mark.parametrize(
    ("written", "known"),
    [
        ("ann@example.org", "ann@example.org"),
        ("  ANN@Example.Org ", "ann@example.org"),
        ("ann+rekindle@sub.example.co.uk", "ann+rekindle@sub.example.co.uk"),
        ("o'neil_x-1@example.org", "o'neil_x-1@example.org"),
        ("ann@bücher.example", "ann@xn--bcher-kva.example"),
        ("ann@\uff25xample.org", "ann@example.org"),
        ("\u212aate@example.org", "kate@example.org"),
    ],
)
def test_an_address_has_one_spelling(written: str, known: str) -> None:
    assert emails.normalise(written) == known


@pytest.mark.parametrize(
    "written",
    [
        "",
        "@",
        "ann",
        "ann@",
        "@example.org",
        "ann@localhost",
        "ann@example.123",
        "ann@-example.org",
        "ann@example..org",
        "a@b@example.org",
        "ann smith@example.org",
        ".ann@example.org",
        "ann..smith@example.org",
        "ann@exam ple.org",
        "ann\n@example.org",
        "ann\u200b@example.org",
        "ann\ud800@example.org",
        "<ann@example.org>",
        "ann@example.org, bob@example.org",
        "x" * 65 + "@example.org",
        "ann@" + "x" * 64 + ".org",
        "ann@" + "x.ab" * 80,
        "ann@" + "\u0130" * 500,
    ],
)
def test_what_is_no_address_is_refused(written: str) -> None:
    with pytest.raises(Problem) as caught:
        emails.normalise(written)
    assert [each.field for each in caught.value.errors] == ["email"]


async def test_few_checks_run_at_once_and_a_crowd_is_told_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    passwords = Passwords(cheap_hash())
    gate, running = threading.Event(), []

    def slow(*_: object) -> tuple[bool, None]:
        running.append(1)
        gate.wait(timeout=30)
        return False, None

    monkeypatch.setattr(passwords._hasher, "verify_and_update", slow)
    crowd = [asyncio.create_task(passwords.check("x", None)) for _ in range(CHECKS_AT_ONCE + MAX_WAITING)]
    while len(running) < CHECKS_AT_ONCE:
        await asyncio.sleep(0)

    with pytest.raises(Problem) as caught:
        await passwords.check("x", None)
    assert caught.value.code == "busy"
    assert len(running) == CHECKS_AT_ONCE
    gate.set()
    assert not any(checked.right for checked in await asyncio.gather(*crowd))
    assert not (await passwords.check("x", None)).right  # there is room again


async def test_the_dummy_lets_nobody_in(monkeypatch: pytest.MonkeyPatch) -> None:
    passwords = Passwords(cheap_hash())
    monkeypatch.setattr(passwords, "_dummy", passwords.hash_now("the dummy's password"))

    assert not (await passwords.check("the dummy's password", None)).right


async def test_an_overlong_password_is_not_hashed_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    passwords = Passwords(cheap_hash())
    known = passwords.hash_now("")

    assert not (await passwords.check("x" * 1_000_000, known)).right
    assert not (await passwords.check("\ud800", known)).right


def test_the_recommended_parameters_are_argon2id() -> None:
    assert Passwords().hash_now("x").startswith("$argon2id$v=19$m=65536,t=3,p=4$")


def test_a_short_server_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 32"):
        AccountSettings("short", "penstock/test", "free")
    assert SECRET not in repr(AccountSettings(SECRET, "penstock/test", "free"))


@pytest.mark.parametrize(
    ("agent", "shown"),
    [
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/142.0 Safari/537.36 Edg/142.0", "Edge on Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Version/19.0 Safari/604.1", "Safari on iPhone"),
        ("Mozilla/5.0 (Linux; Android 16) Chrome/142.0 Mobile Safari/537.36", "Chrome on Android"),
        ("curl/8.14", "curl"),
        ("<script>", "Unknown program"),
        ("", "Unknown program"),
    ],
)
def test_programs_are_labelled(agent: str, shown: str) -> None:
    assert label(agent) == shown


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "1 second"),
        (0.2, "1 second"),
        (1.2, "2 seconds"),
        (119, "119 seconds"),
        (121, "3 minutes"),
        (5_400, "90 minutes"),
        (7_201, "3 hours"),
        (172_800, "2 days"),
    ],
)
def test_spans_are_said_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
