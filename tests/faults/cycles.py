"""Kill, reopen, recover, check: one cycle, and many of them on every core.

The parent is warm: everything is imported, and it has neither threads nor an event loop when it forks. A driver (one
fork for each core) plays the cases one after another; each case is one more fork, which kills itself with SIGKILL
when it passes the armed point for the n-th time, as the kernel's out-of-memory killer or a power cut would.
"""

import ast
import asyncio
import gc
import json
import os
import shutil
import signal
import sqlite3
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

import structlog
from sqlalchemy import create_engine

import penstock
from penstock.jobs import run
from penstock.kit import checkpoints
from penstock.kit.database import metadata
from penstock.ledger import service as ledger
from penstock.ledger.service import Grant
from tests.faults import checker
from tests.faults.scenario import START, open_world, play, recover
from tests.faults.world import ACCOUNTS, FUNDS

Bug = Callable[[], None]
"""Breaks the engine in this process; for planted bugs."""

MEMORY = Path("/dev/shm")  # a kill is not a power cut: what was written is there, whatever disk it is on
TABLES = (  # what the flow needs: opening a database takes the longer the more there are
    *("wallets", "lots", "holds", "hold_lots", "forfeits", "transfers", "events"),
    *("jobs", "idempotency", "attempts", "reservations", "provider_states", "workers", "files", "uploads", "results"),
    *("upload_slips", "accounts"),
)


@dataclass(frozen=True)
class Case:
    """Kill the scenario of `seed` when it passes `label` for the `nth` time; never, if that is 0.

    Args:
        again: kill the recovery too, when it passes so many points, whichever they are.
        threads: with the database's threads, as in production; slower, and the order of things is left to chance.
    """

    seed: int
    label: str | None = None
    nth: int = 0
    again: int | None = None
    threads: bool = False


@dataclass
class Verdict:
    """How a case went: `passed` counts the points passed, `faults` must be empty."""

    case: Case
    killed: bool
    passed: dict[str, int]
    faults: list[str]


def labels() -> dict[str, list[str]]:
    """Return every checkpoint in the source with the modules that have it."""
    root = Path(penstock.__file__).parent
    found: dict[str, list[str]] = {}
    for path in sorted(root.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "checkpoint":
                assert isinstance(node.args[0], ast.Constant), f"{path}:{node.lineno}: a label is a plain string"
                found.setdefault(str(node.args[0].value), []).append(str(path.relative_to(root)))
    return found


def make_template(folder: Path) -> Path:
    """Make the database that every case starts from: tables, watching triggers, funded customers."""
    path = folder / "penstock.sqlite3"
    engine = create_engine(f"sqlite:///{path}")
    metadata.create_all(engine, tables=[metadata.tables[name] for name in TABLES])
    engine.dispose()
    connection = sqlite3.connect(path)
    connection.executescript(checker.WATCH)
    connection.close()
    asyncio.run(_fund(folder))
    (folder / "side").unlink(missing_ok=True)
    return path


async def _fund(folder: Path) -> None:
    async with open_world(folder, 0) as world:
        for account in ACCOUNTS:
            given = Grant(FUNDS, "gift", f"test/{account}", "For crash tests")
            await world.flow.database.write(ledger.grant, account, given)


def play_cases(cases: Sequence[Case], template: Path, *, bug: Bug | None = None, drivers: int = 1) -> list[Verdict]:
    """Play every case and return the verdicts; `drivers` processes share them."""
    shares = [share for share in (cases[at::drivers] for at in range(drivers)) if share]
    forked = [_forked(partial(_drive, share, template, bug)) for share in shares]
    verdicts = []
    for process, lines in forked:
        with lines:
            answers = [json.loads(line) for line in lines]
        _, status = os.waitpid(process, 0)
        assert os.waitstatus_to_exitcode(status) == 0, "a driver died; its traceback is above"
        verdicts += [Verdict(Case(**answer.pop("case")), **answer) for answer in answers]
    return verdicts


def _forked(work: Callable[[BinaryIO], None]) -> tuple[int, BinaryIO]:
    """Do `work` in a fork that writes lines; returns its process id and the lines."""
    reading, writing = os.pipe()
    process = os.fork()
    if process:
        os.close(writing)
        return process, os.fdopen(reading, "rb")
    code = 1
    try:
        os.close(reading)
        with os.fdopen(writing, "wb") as lines:
            work(lines)
        code = 0
    except BaseException:
        traceback.print_exc(file=sys.__stderr__)
    finally:
        os._exit(code)


def _drive(cases: Sequence[Case], template: Path, bug: Bug | None, verdicts: BinaryIO) -> None:
    """Play cases one after another. This process itself does next to nothing, so that its forks are cheap."""
    _settle_in(bug)
    to_mend, folders = os.pipe()
    mender, faults = _forked(partial(_mend_folders, to_mend, folders))
    os.close(to_mend)
    with faults, os.fdopen(folders, "wb", buffering=0) as asking:
        for case in cases:
            base = Path(tempfile.mkdtemp(prefix="crash-", dir=MEMORY if MEMORY.is_dir() else None))
            try:
                verdict = _kill(case, base, template)
                asking.write(json.dumps([str(base), case.seed]).encode() + b"\n")
                verdict.faults += json.loads(faults.readline())
                verdicts.write(json.dumps(asdict(verdict)).encode() + b"\n")
            finally:
                shutil.rmtree(base)
    os.waitpid(mender, 0)


def _settle_in(bug: Bug | None) -> None:
    """Make this process and its forks fit for many short lives: no waiting, no log, and the bug if there is one."""
    structlog.configure(processors=[_drop])
    run.POLL_FIRST_S = 0.0
    if bug is not None:
        bug()
    gc.freeze()  # what is shared with the forks stays shared: no collection touches it


def _drop(_logger: object, _method: str, _event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    raise structlog.DropEvent


def _mend_folders(to_mend: int, folders: int, faults: BinaryIO) -> None:
    """Be the next process, again and again: recover what lies in a folder and say what is wrong with it."""
    os.close(folders)
    with os.fdopen(to_mend, "rb") as asked:
        for line in asked:
            folder, seed = json.loads(line)
            found = checker.faults_now(Path(folder))
            asyncio.run(_recover(Path(folder), seed))
            faults.write(json.dumps(found + checker.faults_after(Path(folder))).encode() + b"\n")
            faults.flush()


def _kill(case: Case, folder: Path, template: Path) -> Verdict:
    """Play the scenario until it kills itself, and then, if the case asks for it, a recovery until that does."""
    (folder / "files").mkdir()
    shutil.copyfile(template, folder / "penstock.sqlite3")
    verdict = _in_child(partial(play, folder, case.seed, threads=case.threads), case, folder)
    if case.again is not None:
        verdict.faults += checker.faults_now(folder)
        again = replace(case, label=None, nth=case.again)
        verdict.faults += _in_child(partial(_recover, folder, case.seed), again, folder).faults
        verdict.faults += checker.damage(folder)
    return verdict


async def _recover(folder: Path, seed: int) -> None:
    await recover(folder, seed, max(START, checker.last_moment(folder)))


def _in_child(play_on: Callable[[], Coroutine[None, None, None]], case: Case, folder: Path) -> Verdict:
    """Play in a fork that dies at the `nth` passing of the case's label (any, if None)."""
    process = os.fork()
    if process == 0:
        code = 1
        try:
            gc.disable()
            passed = _arm(case.label, case.nth)
            asyncio.run(play_on())
            (folder / "said").write_text(json.dumps(passed))
            code = 0
        except BaseException:
            (folder / "said").write_text(traceback.format_exc())
        finally:
            os._exit(code)
    _, status = os.waitpid(process, 0)
    ended = os.waitstatus_to_exitcode(status)
    if ended == -signal.SIGKILL:
        return Verdict(case, True, {}, [])
    said = (folder / "said").read_text()
    return Verdict(case, False, json.loads(said), []) if ended == 0 else Verdict(case, False, {}, [said])


def _arm(label: str | None, nth: int) -> Counter[str]:
    passed: Counter[str] = Counter()

    def pass_by(here: str) -> None:
        passed[here] += 1
        if nth and (passed.total() if label is None else here == label and passed[here]) == nth:
            os.kill(os.getpid(), signal.SIGKILL)

    checkpoints.arm(pass_by)
    return passed


def faulty(verdicts: Iterable[Verdict]) -> list[str]:
    """Return what went wrong, with what it takes to see it again."""
    return [f"{verdict.case}: {fault}" for verdict in verdicts for fault in verdict.faults]
