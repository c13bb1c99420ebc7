"""The commands that run the server and look after accounts, as an operator types them."""

import contextlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from typer.testing import CliRunner, Result

from penstock.app import migrate
from penstock.app.folder import DataFolder
from penstock.app.server import listen
from penstock.cli.main import make_app
from penstock.kit.errors import Problem
from tests.support import postgres

pytestmark = pytest.mark.embedded

EXAMPLE = Path(__file__).parents[2] / "examples" / "rekindle.toml"
PATIENCE_S = 60
STARTS = re.compile(r"Rekindle is at (http://\S+)")
DEMO = re.compile(r"Sign in as (\S+) with the password (\S+)")


class Server:
    """`penstock serve` in a process of its own."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.said = ""
        deadline = time.monotonic() + PATIENCE_S
        assert process.stdout is not None
        while "Stop with Ctrl-C" not in self.said and time.monotonic() < deadline:
            line = process.stdout.readline()
            assert line, f"the server ended before it had started; it said {self.said!r}"
            self.said += line
        found = STARTS.search(self.said)
        assert found is not None
        self.url = found[1]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)


@contextlib.contextmanager
def serving(data: Path, *options: str) -> Iterator[Server]:
    command = [
        sys.executable,
        "-c",
        "from penstock.cli.main import main; main()",
        "serve",
        str(EXAMPLE),
        "--port",
        "0",
        "--data",
        str(data),
        *options,
    ]
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PENSTOCK_")}
    with (data.parent / "log").open("w") as log:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, text=True, env=variables, cwd=data.parent
        )
        try:
            yield Server(process)
        finally:
            process.kill()
            process.communicate()


def typed(*arguments: str) -> Result:
    return CliRunner().invoke(make_app(), list(arguments), catch_exceptions=False)


def test_serve_says_where_it_is_and_ends_when_told(tmp_path: Path) -> None:
    with serving(tmp_path / "data", "--demo") as server:
        health = httpx2.get(f"{server.url}/api/v1/health", timeout=PATIENCE_S)
        found = DEMO.search(server.said)
        assert found is not None
        credentials = {"email": found[1], "password": found[2]}
        signed_in = httpx2.post(f"{server.url}/api/v1/auth/login", json=credentials, timeout=PATIENCE_S).json()
        headers = {"authorization": f"Bearer {signed_in['access_token']}"}
        me = httpx2.get(f"{server.url}/api/v1/me", headers=headers, timeout=PATIENCE_S).json()
        code = server.stop()
    with serving(tmp_path / "data", "--demo") as again:
        refused = httpx2.post(f"{again.url}/api/v1/auth/login", json=credentials, timeout=PATIENCE_S)
        interrupted = again.stop(signal.SIGINT)
    log = (tmp_path / "log").read_text()

    assert health.json()["status"] in {"ok", "degraded"}
    assert health.status_code == 200
    assert "GEMINI_API_KEY" in server.said
    assert me["credits"] == {"available": 100, "held": 0}
    assert refused.status_code == 401, "each start makes a new password"
    assert (code, interrupted) == (0, 0)
    assert credentials["password"] not in log
    assert "Traceback" not in log


def test_a_worker_works_beside_a_server(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from penstock.cli.main import main; main()", "worker", str(EXAMPLE)]
    with serving(tmp_path / "data", "--no-work") as server:
        nobody = typed("workers", "--data", str(tmp_path / "data"))
        process = subprocess.Popen([*command, "--data", str(tmp_path / "data")], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        said = process.stdout.readline()
        health = httpx2.get(f"{server.url}/api/v1/health", timeout=PATIENCE_S).json()
        listed = typed("workers", "--data", str(tmp_path / "data"))
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE_S)
        gone = typed("workers", "--data", str(tmp_path / "data"))

    assert said.startswith("Working for Rekindle with 4 slots")
    assert health["checks"]["workers"] == "ok"
    assert process.returncode == 0
    assert [answer.exit_code for answer in (nobody, listed, gone)] == [0, 0, 0]
    assert "No worker runs" in nobody.stdout
    assert re.search(rf"wkr_\w+ +\S+ +{process.pid} +working +0 of 4 ", listed.stdout)
    assert "No worker runs" in gone.stdout, "who ends takes its row away"


def test_serve_refuses_a_wrong_product_file(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.toml"
    wrong.write_text('name = "wrong"\nnonsense = 1\n')
    result = typed("serve", str(wrong), "--data", str(tmp_path / "data"))

    assert result.exit_code == 2
    assert "wrong.toml:2" in result.stderr
    assert not (tmp_path / "data").exists()


def test_a_port_that_is_taken_is_a_plain_sentence() -> None:
    with listen("127.0.0.1", 0) as taken:
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(Problem, match=f"port {port}"):
            listen("127.0.0.1", port)


def test_a_product_file_says_where_the_database_is(tmp_path: Path, postgres_server: postgres.Server) -> None:
    url = postgres_server.make_database("template1")
    file = tmp_path / "photos.toml"
    file.write_text(f'{EXAMPLE.read_text()}\n[services]\ndatabase_url = "{url}"\n')
    told = typed("--product", str(file), "migrate", "--data", str(tmp_path / "data"))
    assert told.exit_code == 0
    assert "from nothing" in told.output
    assert migrate.revision_of(url) == migrate.newest()
    assert migrate.revision_of(DataFolder(tmp_path / "data").database) is None


def test_migrate_says_what_it_did(tmp_path: Path) -> None:
    first = typed("migrate", "--data", str(tmp_path))
    second = typed("migrate", "--data", str(tmp_path))

    assert (first.exit_code, second.exit_code) == (0, 0)
    assert "from nothing" in first.stdout
    assert "was there already" in second.stdout
    assert migrate.revision_of(DataFolder(tmp_path).database) == migrate.newest()


def test_openapi_is_printed() -> None:
    result = typed("openapi")

    assert result.exit_code == 0
    assert json.loads(result.stdout)["paths"]["/api/v1/jobs"]["post"]["operationId"] == "submit_job"


def test_an_administrator_is_made_before_the_first_start(tmp_path: Path) -> None:
    data = ("--data", str(tmp_path))
    without = typed("admin", "create", "boss@example.org", *data)
    made = typed("admin", "create", "Boss@Example.org", "--file", str(EXAMPLE), *data)
    again = typed("admin", "create", "boss@example.org", *data)
    wrong = typed("admin", "create", "boss", *data)

    assert without.exit_code == 1
    assert "--file" in without.stderr
    assert made.exit_code == 0
    assert "boss@example.org is an administrator now" in made.stdout
    assert again.exit_code == 0
    assert again.stdout != made.stdout, "a new password each time"
    assert (wrong.exit_code, "e-mail" in wrong.stderr) == (1, True)


def test_credits_are_granted_shown_and_checked(tmp_path: Path) -> None:
    data = ("--data", str(tmp_path))
    typed("admin", "create", "ann@example.org", "--file", str(EXAMPLE), *data)
    granted = typed("credits", "grant", "ann@example.org", "5", "--reason", "Sorry", "--key", "ticket-1", *data)
    repeated = typed("credits", "grant", "ann@example.org", "5", "--reason", "Sorry", "--key", "ticket-1", *data)
    other = typed("credits", "grant", "ann@example.org", "6", "--reason", "Sorry", "--key", "ticket-1", *data)
    shown = typed("credits", "show", "ann@example.org", *data)
    checked = typed("credits", "check", *data)
    because = ("--reason", "Sorry", *data)
    nobody = typed("credits", "grant", "nobody@example.org", "5", *because)
    nothing = typed("credits", "grant", "ann@example.org", "0", *because)
    silent = typed("credits", "grant", "ann@example.org", "5", *data)
    blank = typed("credits", "grant", "ann@example.org", "5", "--reason", " ", *data)

    assert (granted.exit_code, granted.stdout.strip()) == (0, "Granted 5 credits. Available: 8.")
    assert "granted before" in repeated.stdout
    assert (other.exit_code, "another grant" in other.stderr) == (1, True)
    assert "8 available, 0 held, 0 owed" in shown.stdout
    assert "Sorry" in shown.stdout
    assert (checked.exit_code, nobody.exit_code, nothing.exit_code) == (0, 1, 2)
    assert (silent.exit_code, blank.exit_code) == (2, 1)


def test_a_grant_says_by_whom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "olga")
    data = ("--data", str(tmp_path))
    typed("admin", "create", "ann@example.org", "--file", str(EXAMPLE), *data)
    typed("credits", "grant", "ann@example.org", "5", "--reason", "Sorry", *data)
    connection = sqlite3.connect(DataFolder(tmp_path).database)
    [(source,)] = connection.execute("SELECT source_key FROM lots WHERE kind = 'gift'").fetchall()
    connection.close()

    assert source.startswith("operator/olga/gft_")


def test_an_unexplained_credit_is_found(tmp_path: Path) -> None:
    data = ("--data", str(tmp_path))
    typed("admin", "create", "ann@example.org", "--file", str(EXAMPLE), *data)
    connection = sqlite3.connect(DataFolder(tmp_path).database)
    connection.execute("UPDATE wallets SET available = available + 1")
    connection.commit()
    connection.close()
    checked = typed("credits", "check", *data)

    assert checked.exit_code == 1
    assert "wallet differs" in checked.stderr


@pytest.mark.parametrize(
    "command",
    [
        ("credits", "check"),
        ("credits", "show", "ann@example.org"),
        ("credits", "grant", "ann@example.org", "5", "--reason", "Sorry"),
        ("admin", "limits", "ann@example.org"),
        ("billing", "donations", str(EXAMPLE)),
        ("billing", "reconcile", str(EXAMPLE)),
        ("jobs", "show", "job_1"),
        ("workers",),
    ],
    ids=" ".join,
)
def test_in_the_wrong_folder_nothing_is_made_and_nothing_is_called_well(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    folder = tmp_path / "not-here"
    told = typed(*command, "--data", str(folder))

    assert (told.exit_code, told.stdout) == (1, "")
    assert f"There is no database of Penstock at {DataFolder(folder).database}." in " ".join(told.stderr.split())
    assert not folder.exists()
