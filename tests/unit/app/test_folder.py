"""The data folder and the secret in it."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from penstock.accounts.settings import MIN_SECRET_CHARACTERS
from penstock.app.folder import DataFolder
from penstock.kit.errors import Problem


def test_a_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "new" / "data")
    folder.make()
    folder.make()

    assert stat.S_IMODE(folder.root.stat().st_mode) == 0o700
    assert folder.files.is_dir()
    assert folder.work.is_dir()
    assert folder.scratch.is_dir()


def test_a_folder_that_cannot_be_made_is_a_plain_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(Problem, match="can't be used"):
        DataFolder(tmp_path / "file" / "data").make()


def test_the_secret_is_made_once_and_is_nobody_elses(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    with ThreadPoolExecutor(8) as threads:
        secrets = set(threads.map(lambda _: folder.secret(), range(50)))

    assert len(secrets) == 1
    assert len(secrets.pop()) >= MIN_SECRET_CHARACTERS
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]
