"""`penstock check`, `schema` and `init` as somebody at a terminal or a script meets them."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from penstock.cli import main
from penstock.kit.database import DatabaseUnavailableError
from penstock.kit.errors import Action, Problem
from penstock.product.reference import json_schema, markdown
from tests.unit.product.samples import SAMPLE, changed

RUNNER = CliRunner()


@pytest.fixture(autouse=True)
def _in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GEMINI_API_KEY", raising=False)


def run(*arguments: str) -> tuple[int, str, str]:
    result = RUNNER.invoke(main.make_app(), arguments)
    return result.exit_code, result.stdout, result.stderr


def test_a_correct_file_is_said_to_be_right_with_what_is_off() -> None:
    Path("p.toml").write_text(SAMPLE)
    code, out, _ = run("check", "p.toml")
    assert code == 0
    first, second, last = out.splitlines()
    assert first.startswith("p.toml:77: off: providers.gemini: ")
    assert "GEMINI_API_KEY" in first
    assert second.startswith("p.toml:46: off: operations.colourise: every provider in its route is off")
    assert last.startswith("p.toml is right. On: restore. Version ")


def test_mistakes_are_told_all_at_once_with_exit_code_2() -> None:
    Path("p.toml").write_text(changed(("price = 2", "prise = 2"), ('title = "Plus"', "title = 7")))
    code, out, _ = run("check", "p.toml")
    assert code == 2
    assert out.splitlines() == [
        'p.toml:21: operations.restore.prise: unknown key. Did you mean "price"?',
        'p.toml:64: plans.plus.title: is 7, but must be text in quotes. Write "7" in quotes.',
        "2 mistakes.",
    ]


def test_findings_are_json_for_machines() -> None:
    Path("p.toml").write_text(SAMPLE)
    code, out, _ = run("check", "p.toml", "--json")
    found = json.loads(out)
    assert (code, found["ok"], found["mistakes"]) == (0, True, [])
    assert found["notes"][0]["key"] == "providers.gemini"
    Path("p.toml").write_text(changed(("price = 2", "prise = 2")))
    code, out, _ = run("check", "p.toml", "--json")
    found = json.loads(out)
    assert (code, found["ok"], found["version"]) == (2, False, None)
    assert found["mistakes"] == [
        {
            "line": 21,
            "column": 1,
            "key": "operations.restore.prise",
            "reason": "unknown key",
            "suggestion": 'Did you mean "price"?',
        }
    ]


def test_what_a_file_says_is_never_read_as_markup() -> None:
    Path("p.toml").write_text(changed(('route = ["local", "gemini"]', 'route = ["[red]", "gemini"]')))
    _, out, _ = run("check", "p.toml")
    assert "[red]" in out


def test_long_lines_are_not_wrapped() -> None:
    Path("p.toml").write_text(changed(("timeout_s = 120", "colour = 1")))
    _, out, _ = run("check", "p.toml")
    assert len(out.splitlines()) == 2
    assert len(out.splitlines()[0]) > 120


def test_a_missing_file_and_a_broken_environment_file_are_said() -> None:
    code, out, _ = run("check", "nope.toml")
    assert (code, out.splitlines()[0].startswith("nope.toml: there is no such file")) == (2, True)
    Path("p.toml").write_text(SAMPLE)
    Path(".env").write_text('KEY="open\n')
    code, _, err = run("check", "p.toml")
    assert code == 2
    assert ".env:1: this is not NAME=value." in err


def test_init_writes_a_file_that_passes_the_check_and_its_schema() -> None:
    code, out, _ = run("init", "photos")
    assert code == 0
    assert "Next: penstock check photos.toml, then penstock serve photos.toml" in out
    assert run("check", "photos.toml")[0] == 0
    assert json.loads(Path("penstock.schema.json").read_text()) == json_schema()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("init", "photos"), "already there and stays as it is"),
        (("init", "My Photos"), "penstock init my_photos"),
        (("init", "x", "--template", "picure"), 'Did you mean "picture"?'),
        (("check",), "Missing argument"),
        (("chekc",), "check"),
    ],
)
def test_wrong_use_ends_with_2_and_says_what_to_do(arguments: tuple[str, ...], said: str) -> None:
    Path("photos.toml").write_text("mine")
    code, _, err = run(*arguments)
    assert code == 2
    assert said in " ".join(err.replace("│", " ").split())
    assert Path("photos.toml").read_text() == "mine"
    assert sorted(path.name for path in Path().iterdir()) == ["photos.toml"]


def test_the_schema_and_the_tables_are_printed() -> None:
    assert json.loads(run("schema")[1]) == json_schema()
    assert run("schema", "--markdown")[1] == markdown()


def test_the_version_is_shown() -> None:
    code, out, _ = run("--version")
    assert code == 0
    assert out.startswith("penstock ")


def _raising(error: Exception) -> Callable[[], None]:
    def command() -> None:
        raise error

    return command


def test_a_problem_becomes_plain_words_and_exit_code_1() -> None:
    app = typer.Typer(cls=main.Commands)
    problem = Problem("insufficient_credits", "You have 1 credit.", actions=[Action("top_up", "Buy credits")])
    app.command("work")(_raising(problem))
    app.command("rest")(lambda: None)
    result = RUNNER.invoke(app, ["work"])
    assert (result.exit_code, result.stderr) == (1, "You have 1 credit.\nBuy credits\n")


def test_a_database_that_is_gone_is_told_without_a_traceback() -> None:
    app = typer.Typer(cls=main.Commands)
    app.command("work")(_raising(DatabaseUnavailableError("p.sqlite3: disk full (free some disk space)")))
    app.command("rest")(lambda: None)
    result = RUNNER.invoke(app, ["work"])
    told = "The database can't be used: p.sqlite3: disk full (free some disk space).\n"
    assert (result.exit_code, result.stderr) == (1, told)


def test_the_installed_command_runs(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from penstock.cli.main import main; main()", "check", "nope.toml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=60)
    assert done.returncode == 2
    assert "there is no such file" in done.stdout
    assert "Traceback" not in done.stderr


def test_every_command_is_found_by_itself_and_with_the_others() -> None:
    everything = set(typer.main.get_group(main.make_app()).commands)
    alone = {name for name in main.COMMANDS if name in typer.main.get_group(main.make_app(name)).commands}
    assert everything == alone == set(main.COMMANDS)


def test_checking_a_file_loads_neither_server_nor_database(tmp_path: Path) -> None:
    (tmp_path / "sample.toml").write_text(SAMPLE)
    script = (
        "import sys\n"
        "from penstock.cli.main import main\n"
        "try: main()\n"
        "finally: print(sorted({'fastapi', 'sqlalchemy', 'redis', 'uvicorn'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "check", "sample.toml"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
