"""Every named statement of the package is one that PostgreSQL understands, also those that few tests run."""

import importlib
import pkgutil
from collections.abc import Iterator, Mapping

import asyncpg

import penstock
from penstock.kit.statements import numbered

VERBS = ("SELECT ", "INSERT INTO ", "UPDATE ", "DELETE FROM ", "WITH ")
KNOWN = 60  # statements, more or less: far fewer would mean that they are not found


def statements() -> Iterator[tuple[str, str]]:
    """Yield the statements that stand as constants in any module, by their names."""
    for module in pkgutil.walk_packages(penstock.__path__, "penstock."):
        if ".migrations" in module.name:
            continue
        for name, value in vars(importlib.import_module(module.name)).items():
            text = value.get("postgresql") if isinstance(value, Mapping) and name.isupper() else value
            if name.isupper() and isinstance(text, str) and text.strip().startswith(VERBS):
                yield f"{module.name}.{name}", text


async def test_every_statement_can_be_prepared(postgres_url: str) -> None:
    wrong, seen = [], 0
    connection = await asyncpg.connect(postgres_url)
    for name, text in statements():
        seen += 1
        try:
            await connection.prepare(numbered(text)[0])
        except asyncpg.PostgresError as error:
            wrong.append(f"{name}: {error}")
    await connection.close()
    assert seen > KNOWN
    assert wrong == []
