"""The database that every case of the crash tests starts from."""

from pathlib import Path

import pytest

from tests.faults.cycles import make_template


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make it once for all cases."""
    return make_template(tmp_path_factory.mktemp("template"))
