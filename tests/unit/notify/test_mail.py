"""Letters: sent after the transaction that they belong to, tried again, and never readable for longer than needed."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from penstock.kit.clock import ManualClock
from penstock.kit.database import Database, Row, Transaction
from penstock.kit.sqlite import SqliteDatabase
from penstock.notify.mail import AGAIN_AFTER_S, KEEP_S, Carrier, CarrierError, ConsoleCarrier, Letter, Post
from penstock.notify.smtp import SmtpCarrier, SmtpServer
from tests.support.flows import make_schema
from tests.support.ports import free_port
from tests.support.smtp_server import mail_server

LETTER = Letter("ann@example.org", "Hello", "A link: https://example.org/x#secret\n")


class Recorder:
    """Takes letters, or refuses the next ones."""

    keeps = False

    def __init__(self) -> None:
        self.taken: list[Letter] = []
        self.refusals: list[CarrierError] = []

    async def send(self, letter: Letter) -> None:
        if self.refusals:
            raise self.refusals.pop(0)
        self.taken.append(letter)


class Office:
    """A database, a clock and an outbox."""

    def __init__(self, database: Database, clock: ManualClock, carrier: Carrier) -> None:
        self.database, self.clock, self.post = database, clock, Post(database, carrier)

    async def put(self) -> None:
        await self.database.write(self.post.put, LETTER)
        await self.post.close()

    async def rows(self) -> list[Row]:
        return await self.database.read(lambda tx: tx.all("SELECT * FROM letters"))


@asynccontextmanager
async def office(folder: Path, carrier: Carrier) -> AsyncIterator[Office]:
    folder.mkdir(exist_ok=True)
    path, clock = folder / "penstock.sqlite3", ManualClock()
    make_schema(path)
    database = SqliteDatabase(path, clock=clock, durability="normal")
    opened = Office(database, clock, carrier)
    yield opened
    await opened.post.close()
    await database.close()


async def test_a_letter_goes_out_after_its_transaction(tmp_path: Path) -> None:
    recorder = Recorder()
    async with office(tmp_path, recorder) as opened:
        await opened.put()
        rows = await opened.rows()

    assert recorder.taken == [LETTER]
    assert [(row["text"], row["send_at"], row["tries"]) for row in rows] == [("", None, 1)]


async def test_a_transaction_that_fails_sends_nothing(tmp_path: Path) -> None:
    recorder = Recorder()
    async with office(tmp_path, recorder) as opened:

        def unit(tx: Transaction) -> None:
            opened.post.put(tx, LETTER)
            raise RuntimeError("undone")

        with pytest.raises(RuntimeError):
            await opened.database.write(unit)
        assert await opened.post.send_due() == 0
        assert await opened.rows() == []


async def test_a_letter_that_was_not_taken_is_tried_again_later(tmp_path: Path) -> None:
    recorder = Recorder()
    recorder.refusals = [CarrierError("greylisted"), CarrierError("busy")]
    async with office(tmp_path, recorder) as opened:
        await opened.put()
        assert recorder.taken == []
        assert await opened.post.send_due() == 0

        opened.clock.advance(AGAIN_AFTER_S[0])
        assert await opened.post.send_due() == 0
        opened.clock.advance(AGAIN_AFTER_S[1])
        assert await opened.post.send_due() == 1
        assert await opened.post.send_due() == 0

    assert recorder.taken == [LETTER]


@pytest.mark.parametrize("final", [True, False])
async def test_a_letter_is_given_up_in_the_end_and_its_link_erased(tmp_path: Path, *, final: bool) -> None:
    recorder = Recorder()
    recorder.refusals = [CarrierError("no", final=final) for _ in range(20)]
    async with office(tmp_path, recorder) as opened:
        await opened.put()
        for _ in range(10):
            opened.clock.advance(max(AGAIN_AFTER_S))
            await opened.post.send_due()
        rows = await opened.rows()

    assert [(row["tries"], row["text"], row["sent_at"]) for row in rows] == [
        (1 if final else 1 + len(AGAIN_AFTER_S), "", None)
    ]


async def test_a_letter_that_a_dead_process_took_is_taken_again(tmp_path: Path) -> None:
    async with office(tmp_path, Recorder()) as opened:
        recorder = Recorder()
        dying = Post(opened.database, Dying())
        await opened.database.write(dying.put, LETTER)
        await dying.close()
        alive = Post(opened.database, recorder)
        assert await alive.send_due() == 0

        opened.clock.advance(120)
        assert await alive.send_due() == 1
    assert recorder.taken == [LETTER]


class Dying:
    """Never comes back from sending."""

    keeps = False

    async def send(self, letter: Letter) -> None:
        raise SystemError("killed")


async def test_old_letters_are_forgotten(tmp_path: Path) -> None:
    async with office(tmp_path, Recorder()) as opened:
        await opened.put()
        opened.clock.advance(KEEP_S + 1)
        assert await opened.post.sweep() == 1
        assert await opened.rows() == []


async def test_in_development_letters_stay_readable(tmp_path: Path) -> None:
    async with office(tmp_path, ConsoleCarrier()) as opened:
        await opened.put()
        assert [shown.letter for shown in await opened.post.shown()] == [LETTER]
    async with office(tmp_path / "real", Recorder()) as opened:
        await opened.put()
        assert await opened.post.shown() == []


async def test_a_letter_over_smtp(tmp_path: Path) -> None:
    async with mail_server() as server:
        carrier = SmtpCarrier(SmtpServer.at(server.url), "hello@example.org", 'Ann "the" Maker')
        await carrier.send(Letter("bob@example.org", "Grüße\r\nBcc: eve@example.org", "Schön!\n"))

    (letter,) = server.letters
    assert server.recipients == ["bob@example.org"]
    assert letter["From"].addresses[0].display_name == 'Ann "the" Maker'
    assert letter["Subject"] == "Grüße Bcc: eve@example.org"
    assert letter["Bcc"] is None
    assert letter["Auto-Submitted"] == "auto-generated"
    assert letter.get_content().strip() == "Schön!"


async def test_a_user_and_a_password_are_told(tmp_path: Path) -> None:
    async with mail_server() as server:
        url = server.url.replace("://", "://ann%40x:p%2Fw@")
        await SmtpCarrier(SmtpServer.at(url), "hello@example.org", "Ann").send(LETTER)

    assert base64.b64decode(server.users[0]) == b"\0ann@x\0p/w"
    assert "p/w" not in repr(SmtpServer.at(url))


@pytest.mark.parametrize(("reply", "final"), [("550 no such person", True), ("450 later", False)])
async def test_a_refused_address_is_final_and_a_busy_server_is_not(reply: str, *, final: bool) -> None:
    async with mail_server() as server:
        server.refuses["RCPT"] = reply
        with pytest.raises(CarrierError) as caught:
            await SmtpCarrier(SmtpServer.at(server.url), "hello@example.org", "Ann").send(LETTER)

    assert caught.value.final is final


async def test_a_server_that_is_not_there_is_not_final() -> None:
    gone = SmtpServer.at(f"smtp://127.0.0.1:{free_port()}")
    with pytest.raises(CarrierError) as caught:
        await SmtpCarrier(gone, "hello@example.org", "Ann").send(LETTER)

    assert not caught.value.final


async def test_letters_do_not_go_to_other_machines_in_clear_text(monkeypatch: pytest.MonkeyPatch) -> None:
    async with mail_server() as server:
        monkeypatch.setattr("penstock.notify.smtp._is_loopback", lambda host: False)
        with pytest.raises(CarrierError, match="STARTTLS"):
            await SmtpCarrier(SmtpServer.at(server.url), "hello@example.org", "Ann").send(LETTER)

    assert server.letters == []


@pytest.mark.parametrize("url", ["http://mail", "smtp://", "mail.example.org"])
def test_what_is_no_mail_server_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="must be an address"):
        SmtpServer.at(url)


def test_the_usual_ports() -> None:
    assert (SmtpServer.at("smtp://m.test").port, SmtpServer.at("smtps://m.test").port) == (587, 465)
    assert SmtpServer.at("smtps://m.test:2465").tls
