"""The data folder: where everything of a product lies on this machine, who works on it, and the server's secret."""

import fcntl
import os
import secrets
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from penstock.kit.errors import Problem

SECRET_BYTES = 48


@dataclass(frozen=True)
class DataFolder:
    """The places in a data folder."""

    root: Path

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.root / "penstock.sqlite3"

    @property
    def files(self) -> Path:
        """Uploads and results."""
        return self.root / "files"

    @property
    def work(self) -> Path:
        """What running jobs write."""
        return self.root / "work"

    @property
    def scratch(self) -> Path:
        """Uploads on their way in."""
        return self.root / "scratch"

    def make(self) -> None:
        """Make the folder if it is missing; only its owner may look into it. Errors: Problem `unavailable`."""
        try:
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            for folder in (self.files, self.work, self.scratch):
                folder.mkdir(exist_ok=True)
        except OSError as error:
            reason = (error.strerror or "unknown reason").lower()
            raise Problem("unavailable", f"The data folder {self.root} can't be used: {reason}.") from error

    def secret(self) -> str:
        """Return the secret that is kept here, made at the first call."""
        path = self.root / "secret"
        if not path.exists():
            # Written aside and then linked: of two processes that start together one wins, and both read a whole one.
            with tempfile.NamedTemporaryFile("w", dir=self.root, prefix="secret-", encoding="ascii") as file:
                file.write(secrets.token_urlsafe(SECRET_BYTES))
                file.flush()
                os.fsync(file.fileno())
                with suppress(FileExistsError):
                    path.hardlink_to(file.name)
        return path.read_text(encoding="ascii").strip()


class FolderLock:
    """Says whether other processes work on a data folder; the system drops it with the process, however that ends.

    Whoever works holds it shared. Whoever gets it for itself alone knows that nobody else works: what the database
    then calls running was left behind by a crash. It is not inherited by children.
    """

    def __init__(self, folder: DataFolder) -> None:
        self._path = folder.root / "lock"
        self._file: IO[str] | None = None

    def take(self) -> bool:
        """Take the lock and return whether nobody else had it: then it is held alone until `share`."""
        self._file = self._path.open("w")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            fcntl.flock(self._file, fcntl.LOCK_SH)
            return False
        return True

    def share(self) -> None:
        """Let others work here too."""
        if self._file is not None:
            fcntl.flock(self._file, fcntl.LOCK_SH)

    def release(self) -> None:
        """Work here no longer."""
        if self._file is not None:
            self._file.close()
            self._file = None
