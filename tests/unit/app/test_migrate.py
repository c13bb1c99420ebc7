"""The migrations make exactly the tables that the code works with, whole or not at all."""

import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from penstock.app import migrate
from penstock.app.tables import metadata
from penstock.kit.errors import Problem

_CHECK = re.compile(r"CONSTRAINT (\w+) CHECK \((.*)\)")


@pytest.fixture
def migrated(tmp_path: Path) -> Path:
    path = tmp_path / "migrated.sqlite3"
    migrate.migrate(path)
    return path


@pytest.fixture
def declared(tmp_path: Path) -> Path:
    path = tmp_path / "declared.sqlite3"
    engine = create_engine(f"sqlite:///{path}")
    metadata.create_all(engine)
    engine.dispose()
    return path


def shape(path: Path) -> dict[str, Any]:
    """Return everything that SQLite knows of a file's tables and indexes, but not how it was written."""
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE '%alembic%'").fetchall()
    found: dict[str, Any] = {}
    for kind, name, sql in rows:
        if kind == "index":
            found[f"index {name}"] = None if sql is None else " ".join(sql.split()).replace("!=", "<>")
        else:
            columns = connection.execute(f"PRAGMA table_info({name})").fetchall()
            foreign = connection.execute(f"PRAGMA foreign_key_list({name})").fetchall()
            checks = sorted(match.groups() for line in sql.splitlines() for match in _CHECK.finditer(line.rstrip(", ")))
            found[f"table {name}"] = (columns, foreign, checks, "AUTOINCREMENT" in sql)
    connection.close()
    return found


def test_migrated_is_what_is_declared(migrated: Path, declared: Path) -> None:
    assert shape(migrated) == shape(declared)


def test_alembic_finds_nothing_to_do(migrated: Path) -> None:
    engine = create_engine(f"sqlite:///{migrated}")
    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
    engine.dispose()

    assert differences == []


def test_the_comparison_sees_a_difference(migrated: Path, declared: Path) -> None:
    connection = sqlite3.connect(migrated)
    connection.execute("DROP INDEX ix_jobs_ready")
    connection.execute("CREATE INDEX ix_jobs_ready ON jobs (rank, run_at)")  # no longer partial
    connection.close()

    assert shape(migrated) != shape(declared)


def test_migrating_twice_is_migrating_once(migrated: Path) -> None:
    before = shape(migrated)

    assert migrate.migrate(migrated) == (migrate.newest(), migrate.newest())
    assert shape(migrated) == before


def test_a_new_file_has_no_revision(tmp_path: Path) -> None:
    assert migrate.revision_of(tmp_path / "nothing.sqlite3") is None
    assert not (tmp_path / "nothing.sqlite3").exists()


def test_a_database_of_a_newer_version_is_refused_and_left_alone(migrated: Path) -> None:
    connection = sqlite3.connect(migrated)
    connection.execute("UPDATE alembic_version SET version_num = '9999_future'")
    connection.commit()
    connection.close()

    with pytest.raises(Problem, match="newer Penstock"):
        migrate.migrate(migrated)
    assert migrate.revision_of(migrated) == "9999_future"


def test_a_file_that_is_no_database_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "photo.sqlite3"
    path.write_bytes(b"not a database" * 100)
    for look in (migrate.migrate, migrate.revision_of):
        with pytest.raises(Problem, match=r"file is not a database .*restore it from a backup") as refused:
            look(path)
        assert (refused.value.code, str(path) in str(refused.value)) == ("unavailable", True)
    assert path.read_bytes() == b"not a database" * 100


def test_a_folder_that_is_missing_is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="see whether its folder exists"):
        migrate.migrate(tmp_path / "gone" / "penstock.sqlite3")


def test_a_migration_that_breaks_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "broken.sqlite3"
    run = command.upgrade

    def breaks(*args: Any) -> None:
        run(*args)
        raise RuntimeError("the power went")

    monkeypatch.setattr(command, "upgrade", breaks)
    with pytest.raises(RuntimeError):
        migrate.migrate(path)

    assert migrate.revision_of(path) is None
    assert shape(path) == {}


def test_the_first_migration_can_be_taken_back(migrated: Path) -> None:
    scripts = ScriptDirectory(str(migrate.SCRIPTS))
    engine = create_engine(f"sqlite:///{migrated}")
    with engine.begin() as connection, Operations.context(MigrationContext.configure(connection)):
        for script in scripts.walk_revisions():
            script.module.downgrade()
    engine.dispose()

    assert set(shape(migrated)) <= {"table sqlite_sequence"}
