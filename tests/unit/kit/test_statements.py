"""`:names` become numbers, and nothing else does."""

import pytest

from penstock.kit.statements import numbered


def test_a_name_used_twice_keeps_its_number() -> None:
    translated = numbered("UPDATE t SET a = :a, b = :b WHERE a < :a")
    assert translated == ("UPDATE t SET a = $1, b = $2 WHERE a < $1", ("a", "b"))


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT '12:30', 'it''s :not a name'",
        'SELECT ":quoted" FROM t',
        "SELECT 1 -- :comment",
        "SELECT created_at::text FROM t",
        "SELECT a[1:2] FROM t",
    ],
)
def test_what_only_looks_like_a_name_stays(sql: str) -> None:
    assert numbered(sql) == (sql, ())


def test_names_beside_what_only_looks_like_them() -> None:
    sql = "SELECT :a::text, ':b', \"c:d\" -- :e\n, :_f2 FROM t WHERE x=:a"
    assert numbered(sql) == ("SELECT $1::text, ':b', \"c:d\" -- :e\n, $2 FROM t WHERE x=$1", ("a", "_f2"))
