"""When the web app is built again and when not, which Node is taken, and what is said when that fails."""

from pathlib import Path

import pytest
import web_build


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A tree with the least that counts as a web app."""
    web = tmp_path / "web"
    (web / "src").mkdir(parents=True)
    (web / "package.json").write_text("{}", "utf-8")
    (web / "package-lock.json").write_text("{}", "utf-8")
    (web / "src" / "main.ts").write_text("one", "utf-8")
    (tmp_path / web_build.APP).mkdir(parents=True)
    return tmp_path


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The npm scripts that would have been run."""
    monkeypatch.delenv("SKIP_WEB", raising=False)
    names: list[str] = []
    monkeypatch.setattr(web_build, "run_script", lambda name, _root: names.append(name))
    return names


def test_builds_once_and_again_only_after_a_source_changed(root: Path, runs: list[str]) -> None:
    assert web_build.build(root) == "web app: built"
    assert web_build.build(root) == "web app: up to date"
    assert runs == ["build"]
    (root / "web" / "src" / "main.ts").write_text("two", "utf-8")
    assert web_build.build(root) == "web app: built"
    assert runs == ["build", "build"]


def test_a_renamed_source_counts_as_changed(root: Path) -> None:
    before = web_build.digest(root / "web")
    (root / "web" / "src" / "main.ts").rename(root / "web" / "src" / "other.ts")
    assert web_build.digest(root / "web") != before


def test_tests_and_fetched_packages_do_not_count(root: Path) -> None:
    before = web_build.digest(root / "web")
    for folder in ("tests", "node_modules"):
        (root / "web" / folder).mkdir()
        (root / "web" / folder / "x.ts").write_text("x", "utf-8")
    assert web_build.digest(root / "web") == before


def test_a_failed_build_is_tried_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_name: str, _root: Path) -> None:
        raise web_build.WebBuildError("no")

    monkeypatch.delenv("SKIP_WEB", raising=False)
    monkeypatch.setattr(web_build, "run_script", fail)
    for _ in range(2):
        with pytest.raises(web_build.WebBuildError):
            web_build.build(root)


def test_skip_web_leaves_it_out(root: Path, runs: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKIP_WEB", "1")
    assert "skipped" in web_build.build(root)
    assert runs == []


def test_without_sources_the_shipped_files_stay(tmp_path: Path, runs: list[str]) -> None:
    assert "stay" in web_build.build(tmp_path)
    assert runs == []


@pytest.mark.parametrize(
    ("version", "fit"),
    [
        ("v20.18.9", False),
        ("v20.19.0", True),
        ("v21.7.3", False),
        ("v22.11.0", False),
        ("v22.12.0", True),
        ("v24.19.0", True),
        ("", False),
    ],
)
def test_only_versions_that_vite_runs_on_are_usable(version: str, fit: bool) -> None:
    assert web_build.usable(version) is fit


def test_without_node_the_message_says_how_to_get_one(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("SKIP_WEB", raising=False)
    monkeypatch.setattr(web_build, "ROOT", root)
    monkeypatch.setattr(web_build, "_node_of_environment", lambda: None)
    monkeypatch.setattr(web_build, "_node_on_path", lambda: None)
    assert web_build.main(["run", "check"]) == 1
    told = capsys.readouterr().err
    assert web_build.NODE_PACKAGE in told
    assert "SKIP_WEB=1" in told


def test_a_failing_npm_is_named_with_its_script(root: Path) -> None:
    node = web_build.Node(npm=("false",), environment={"PATH": "/usr/bin:/bin"})
    with pytest.raises(web_build.WebBuildError, match=r"npm run build.*code 1"):
        web_build._npm(node, root / "web", "run", "build")


def test_wrong_use_answers_with_the_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert web_build.main(["nonsense"]) == 2
    assert "python web_build.py" in capsys.readouterr().err
