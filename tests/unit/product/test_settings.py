"""What the environment decides, and what it is told when it is wrong."""

from pathlib import Path

import pytest

from penstock.product.schema_services import Services
from penstock.product.settings import VARIABLES, Settings, SettingsError, at_services, read_environment, read_settings
from penstock.product.storage_url import BucketAddress, read_storage_url


def complaints(environment: dict[str, str]) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        read_settings(environment)
    return caught.value.complaints


def test_nothing_set_is_fine() -> None:
    settings = read_settings({"PATH": "/bin", "PENSTOCK_HOST": ""})
    assert settings == Settings()
    assert settings.data_dir == Path("penstock-data")


def test_every_variable_is_read(tmp_path: Path) -> None:
    settings = read_settings(
        {
            "PENSTOCK_DATA": str(tmp_path / "new"),
            "PENSTOCK_HOST": "0.0.0.0",
            "PENSTOCK_PORT": "9000",
            "PENSTOCK_SECRET": "s" * 32,
            "PENSTOCK_PUBLIC_URL": "https://photos.example.org/",
            "PENSTOCK_DATABASE_URL": "postgresql://ann:secret@db/shop",
            "PENSTOCK_DATABASE_CONNECTIONS": "20",
            "PENSTOCK_REDIS_URL": "rediss://ann:secret@cache:6380/2",
            "PENSTOCK_STORAGE_URL": "s3://photos/shop",
            "PENSTOCK_LOG_FORMAT": "JSON",
            "PENSTOCK_LOG_LEVEL": "debug",
        }
    )
    assert settings == Settings(
        data_dir=tmp_path / "new",
        host="0.0.0.0",
        port=9000,
        secret="s" * 32,
        public_url="https://photos.example.org",
        database_url="postgresql://ann:secret@db/shop",
        database_connections=20,
        redis_url="rediss://ann:secret@cache:6380/2",
        storage=BucketAddress("photos", "shop"),
        log_format="json",
        log_level="debug",
    )


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("PENSTOCK_PORT", "http", "PENSTOCK_PORT is 'http', but must be a whole number from 0 to 65535."),
        ("PENSTOCK_PORT", "70000", "from 0 to 65535"),
        ("PENSTOCK_PORT", "-1", "from 0 to 65535"),
        ("PENSTOCK_HOST", "300.1.1.1", "must be an address"),
        ("PENSTOCK_HOST", "http://x", "must be an address"),
        ("PENSTOCK_SECRET", "short", "PENSTOCK_SECRET must have 32 characters at least"),
        ("PENSTOCK_PUBLIC_URL", "photos.example.org", "must be an address such as"),
        ("PENSTOCK_DATABASE_URL", "mysql://db/shop", "must be the address of a database such as"),
        ("PENSTOCK_REDIS_URL", "http://cache", "must be the address of a Redis server such as"),
        ("PENSTOCK_REDIS_URL", "redis:///0", "must be the address of a Redis server such as"),
        ("PENSTOCK_REDIS_URL", "redis://cache/zero", "must be the address of a Redis server such as"),
        ("PENSTOCK_DATABASE_URL", "postgresql://db", "must be the address of a database such as"),
        ("PENSTOCK_DATABASE_CONNECTIONS", "1", "must be a whole number from 2 to 100"),
        ("PENSTOCK_LOG_FORMAT", "xml", "must be one of auto, console, json"),
        ("PENSTOCK_LOG_LEVEL", "loud", "must be one of debug, info, warning, error"),
        ("PENSTOCK_DATA", __file__, "must name a folder, and this is a file"),
        ("PENSTOCK_PROT", "80", "PENSTOCK_PROT is not known. Did you mean PENSTOCK_PORT?"),
        ("PENSTOCK_SECRETS", "x", "Did you mean PENSTOCK_SECRET?"),
    ],
)
def test_wrong_values_say_what_to_write(name: str, value: str, said: str) -> None:
    (complaint,) = complaints({name: value})
    assert said in complaint


def test_all_are_told_at_once_and_no_secret_is_repeated() -> None:
    told = complaints({"PENSTOCK_PORT": "x", "PENSTOCK_SECRET": "hunter2", "PENSTOCK_LOG_LEVEL": "loud"})
    assert len(told) == 3
    assert "hunter2" not in " ".join(told)


def test_the_secret_is_not_shown() -> None:
    assert "s3cret" not in repr(Settings(secret="s3cret" * 8))


@pytest.mark.parametrize("host", ["::1", "127.0.0.1", "localhost", "photos.example.org"])
def test_addresses_and_names_of_hosts_are_taken(host: str) -> None:
    assert read_settings({"PENSTOCK_HOST": host}).host == host


def test_a_file_gives_what_the_process_does_not(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text('# keys\nexport A="1 # x"\nB=two\nC=$A${B}\n\nD=\n')
    read = read_environment(tmp_path, {"B": "process", "E": "5"})
    assert read == {"A": "1 # x", "B": "process", "C": "$A${B}", "D": "", "E": "5"}


def test_without_a_file_the_process_alone_counts(tmp_path: Path) -> None:
    assert read_environment(tmp_path, {"A": "1"}) == {"A": "1"}


def test_a_wrong_line_is_named_without_its_value(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text('A=1\nKEY="hunter2\nB=2\n')
    with pytest.raises(SettingsError, match=r"\.env:2: this is not NAME=value") as caught:
        read_environment(tmp_path, {})
    assert "hunter2" not in str(caught.value)


def test_a_folder_called_env_is_said(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()
    with pytest.raises(SettingsError, match="can't be read"):
        read_environment(tmp_path, {})


def test_the_variables_are_listed_for_the_documentation() -> None:
    assert "PENSTOCK_DATA" in VARIABLES


def test_the_password_of_the_database_is_never_repeated() -> None:
    (told,) = complaints({"PENSTOCK_DATABASE_URL": "mysql://ann:secret@db/shop"})
    assert "secret" not in told
    assert "secret" not in repr(Settings(database_url="postgresql://ann:secret@db/shop"))


def test_a_product_file_says_where_services_are_unless_the_environment_does() -> None:
    named = Services(
        database_url="postgresql://ann@db/shop", redis_url="redis://cache", storage_url="s3://bucket?region=eu-west-1"
    )
    found = at_services(read_settings({"PENSTOCK_REDIS_URL": "redis://other"}), named)
    assert (found.database_url, found.redis_url) == ("postgresql://ann@db/shop", "redis://other")
    assert found.storage == read_storage_url("s3://bucket?region=eu-west-1")
    assert at_services(Settings(), Services()) == Settings()
