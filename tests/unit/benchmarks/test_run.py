"""The runner: what it finds, what it prints and keeps, and what it says to a wrong name."""

import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
from benchmarks import run
from benchmarks.figure import Figure

FIGURES = [
    Figure("speed.up", 1234.5678, "jobs/s", {"rq.simple": 5.25, "huey.sqlite": 0.5}),
    Figure("speed.down", 0.012345, "ms", {}),
]
GROUPS: dict[str, run.Measure] = {"speed": lambda out: FIGURES, "other": lambda out: [Figure("other", 1.0, "s", {})]}


def test_a_line_has_name_value_unit_and_then_the_ratios() -> None:
    assert run.line(FIGURES[0]) == "speed.up 1235 jobs/s rq.simple=5.25 huey.sqlite=0.5"
    assert run.line(FIGURES[1]) == "speed.down 0.01235 ms"


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0"), (12.0, "12"), (2_400_000.0, "2400000"), (0.98765, "0.9877"), (-3.5, "-3.5")]
)
def test_values_are_written_plainly(value: float, text: str) -> None:
    assert run.line(Figure("x", value, "s", {})) == f"x {text} s"


def test_results_have_the_documented_form(tmp_path: Path) -> None:
    path = run.keep(tmp_path / "results", "speed", FIGURES)
    assert path.name == "speed.json"
    assert json.loads(path.read_text()) == {
        "figures": [
            {
                "name": "speed.up",
                "value": 1234.5678,
                "unit": "jobs/s",
                "ratios": {"rq.simple": 5.25, "huey.sqlite": 0.5},
            },
            {"name": "speed.down", "value": 0.012345, "unit": "ms", "ratios": {}},
        ]
    }


def test_without_a_name_every_group_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run.run(None, GROUPS, tmp_path / "results", tmp_path / "out")
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["speed.up", "speed.down", "other"]
    assert {path.name for path in (tmp_path / "results").iterdir()} == {"speed.json", "other.json", "machine.json"}
    assert (tmp_path / "out").is_dir()


def test_one_figure_is_printed_but_its_whole_group_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run.run("speed.down", GROUPS, tmp_path, tmp_path)
    assert capsys.readouterr().out == "speed.down 0.01235 ms\n"
    assert len(json.loads((tmp_path / "speed.json").read_text())["figures"]) == 2
    assert not (tmp_path / "other.json").exists()


def test_the_longest_group_that_fits_is_meant() -> None:
    assert run.choose("a.b.c", ["a", "a.b"]) == [run.Chosen("a.b", "a.b.c")]
    assert run.choose("a.b", ["a", "a.b"]) == [run.Chosen("a.b", None)]


def test_an_unknown_group_is_answered_with_the_known_ones() -> None:
    with pytest.raises(run.BenchmarkError, match=r"no benchmark 'spee'.*There are: speed, other\."):
        run.choose("spee", list(GROUPS))


def test_an_unknown_figure_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(run.BenchmarkError, match=r"no figure 'speed\.left'.*speed\.up, speed\.down"):
        run.run("speed.left", GROUPS, tmp_path, tmp_path)


def test_the_command_says_what_is_wrong_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["no-such-benchmark"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "no-such-benchmark" in said.err
    assert "lifecycle" in said.err


def test_the_engine_benchmarks_are_found() -> None:
    assert {"lifecycle", "start", "claim", "ledger"} <= set(run.find_groups(["benchmarks"]))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An importable package without benchmarks."""
    package = tmp_path / "somewhere"
    package.mkdir()
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    before: dict[str, ModuleType] = dict(sys.modules)
    monkeypatch.setattr(sys, "modules", before)
    return package


def test_a_module_without_a_group_is_no_benchmark(place: Path) -> None:
    (place / "shared.py").write_text("def figures(out): return []\n")
    assert run.find_groups(["somewhere"]) == {}


def test_two_groups_of_one_name_are_refused(place: Path) -> None:
    for name in ("one", "two"):
        (place / f"{name}.py").write_text("GROUP = 'same'\ndef figures(out): return []\n")
    with pytest.raises(run.BenchmarkError, match=r"somewhere\.two.*'same'"):
        run.find_groups(["somewhere"])


def test_a_group_without_figures_is_refused(place: Path) -> None:
    (place / "half.py").write_text("GROUP = 'half'\n")
    with pytest.raises(run.BenchmarkError, match=r"somewhere\.half has a GROUP but no figures"):
        run.find_groups(["somewhere"])
