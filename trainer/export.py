"""PostgreSQL → export file. The only user of psycopg2 in the trainer.

One `COPY … TO STDOUT` in a read-only transaction: the server formats, this side only carries bytes, so memory stays flat
however long the log is. The file appears under its name when it is whole, and not before.
"""

from __future__ import annotations

import gzip
import os
import re
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import psycopg2
from psycopg2 import extensions

from shared.errors import ConfigError, ExportError, SourceError
from shared.values import iso
from trainer.exporting.copying import copy_watched
from trainer.exporting.sinks import SINKS, Bounded
from trainer.exporting.sql import copy_statement, find_columns
from trainer.progress import Progress, quiet

FORMATS = ("csv", "json", "jsonl")
DEFAULT_DAYS = 30
DAY_S = 86_400.0
TABLE = "log_entries"
CONNECT_TIMEOUT_S = 10
QUERY_TIMEOUT_S = 3600.0
SHORT = 4  # characters of a password that is hidden only where it stands by itself
STALL_S = 900.0  # a server that sends nothing for so long is given up (it may have to sort first)


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What an export wrote: rows, bytes of the file, the range [start, end) in seconds since the epoch."""

    path: Path
    format: str
    rows: int
    size_bytes: int
    start: float
    end: float
    programs: tuple[str, ...]
    table: str
    seconds: float

    def as_json(self) -> dict[str, object]:
        """What `export --json` prints."""
        return {
            "path": str(self.path),
            "format": self.format,
            "rows": self.rows,
            "size_bytes": self.size_bytes,
            "start": iso(self.start),
            "end": iso(self.end),
            "programs": list(self.programs),
            "table": self.table,
            "seconds": round(self.seconds, 3),
        }


def export(
    dsn: str,
    output: Path,
    start: float | None = None,
    end: float | None = None,
    programs: Sequence[str] = (),
    format: str | None = None,  # noqa: A002  (the option is called so)
    table: str = TABLE,
    columns: dict[str, str] | None = None,
    progress: Progress = quiet,
    now: Callable[[], float] = time.time,
    query_timeout_s: float = QUERY_TIMEOUT_S,
    stall_s: float = STALL_S,
    limit_bytes: int | None = None,
) -> ExportReport:
    """Write the rows of [start, end) to `output`; gzip when its name ends in .gz. Without a range: the last 30 days.

    `programs` empty means all. `format` None means by the name, else CSV. Rows whose time is infinite are left out.
    `limit_bytes`: the largest file that may come of it.

    Raises:
        ConfigError: a DSN, a format, a range or a column that cannot be.
        SourceError: no connection, no answer in time. The password is never shown.
        ExportError: no such table, no permission; the file cannot be written or gets too large (what was there stays).
    """
    began = now()
    chosen = format or _format_of(output)
    if chosen not in FORMATS:
        raise ConfigError(f"export: format {chosen!r} is none of {', '.join(FORMATS)}")
    end_s = began if end is None else end
    start_s = end_s - DEFAULT_DAYS * DAY_S if start is None else start
    if not start_s < end_s:
        raise ConfigError(
            f"export: the range is empty: {iso(start_s)} is not before {iso(end_s)}; swap or correct the dates"
        )
    with _errors(dsn), closing(_connect(dsn, query_timeout_s)) as connection, connection.cursor() as cursor:
        names = find_columns(cursor, table, columns or {})
        statement = cursor.mogrify(*copy_statement(table, names, start_s, end_s, tuple(programs)))
        said = {
            "exported_at": iso(began),
            "start": iso(start_s),
            "end": iso(end_s),
            "programs": list(programs),
            "table": table,
        }
        rows = _carry(cursor, statement, Outlet(output, chosen, said, progress, (start_s, end_s), limit_bytes), stall_s)
    return ExportReport(
        output, chosen, rows, output.stat().st_size, start_s, end_s, tuple(programs), table, max(0.0, now() - began)
    )


def _format_of(output: Path) -> str:
    suffix = Path(output.name.removesuffix(".gz")).suffix.lower()
    return {".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl"}.get(suffix, "csv")


def _connect(dsn: str, query_timeout_s: float) -> Any:
    """A read-only connection that cannot hang for ever: a dead peer ends it in half a minute."""
    connection = psycopg2.connect(
        dsn,
        connect_timeout=CONNECT_TIMEOUT_S,
        keepalives=1,
        keepalives_idle=10,
        keepalives_interval=5,
        keepalives_count=3,
        tcp_user_timeout=30_000,
        application_name="pipit-trainer",
        options=f"-c statement_timeout={int(query_timeout_s * 1000)} -c timezone=UTC -c default_transaction_read_only=on",
    )
    connection.set_session(readonly=True, isolation_level=extensions.ISOLATION_LEVEL_REPEATABLE_READ)
    connection.set_client_encoding("UTF8")
    return connection


@dataclass(frozen=True, slots=True)
class Outlet:
    """Where the rows go, in which form, and what the file says of itself."""

    output: Path
    format: str
    said: dict[str, Any]
    progress: Progress
    span: tuple[float, float]
    limit_bytes: int | None


def _carry(cursor: Any, statement: bytes, outlet: Outlet, stall_s: float) -> int:
    """Run the COPY into a file beside the output, then put it in its place; the number of rows."""
    output = outlet.output
    beside = output.with_name(f".{output.name}.{uuid.uuid4().hex[:12]}.part")
    try:
        with beside.open("xb") as raw:
            with _packed(Bounded(raw, outlet.limit_bytes), output) as stream:
                sink = SINKS[outlet.format](stream, outlet.said, outlet.progress, outlet.span)
                copy_watched(cursor, statement, sink, stall_s)
                sink.finish()
            raw.flush()
            os.fsync(raw.fileno())
        beside.replace(output)
        _sync_folder(output.parent)
    except OSError as error:
        raise ExportError(
            f"export to {output}: {error.strerror or error}; free space or choose another file"
        ) from error
    finally:
        beside.unlink(missing_ok=True)
    return sink.rows


@contextmanager
def _packed(raw: Bounded, output: Path) -> Iterator[IO[bytes]]:
    if not output.name.endswith(".gz"):
        yield raw  # type: ignore[misc]
        return
    # no time and no name in the header: equal rows give equal files
    with gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=6, mtime=0) as stream:
        yield stream  # type: ignore[misc]


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _errors(dsn: str) -> Iterator[None]:
    """The driver's errors as ours, in words and without secrets."""
    try:
        yield
    except psycopg2.Error as error:
        text = " ".join(str(error).split()) or type(error).__name__
        if "PGRES_COPY" in text:  # the driver's words for a cut
            text = "the connection broke while rows came, and nothing of them was kept"
        for secret in _secrets(dsn):  # a word of its own: a password of one letter stands in every sentence
            text = re.sub(
                rf"(?<!\w){re.escape(secret)}(?!\w)" if len(secret) < SHORT else re.escape(secret), "***", text
            )
        raise _kind(error)(f"export from {describe(dsn)}: {text}{_advice(error)}") from None


def _kind(error: psycopg2.Error) -> type[ConfigError | ExportError | SourceError]:
    """A DSN that cannot be read is to be mended, what the database refuses stays refused; the rest may be over soon."""
    code = getattr(error, "pgcode", None)
    if code is None and isinstance(error, psycopg2.ProgrammingError):
        return ConfigError
    return ExportError if str(code).startswith("42") else SourceError  # class 42: no such table, no right to read it


def _advice(error: psycopg2.Error) -> str:
    code = getattr(error, "pgcode", None)
    if code == "42501":
        return "; grant this user SELECT on the table"
    if code == "57014":
        return "; it took too long: ask for fewer days, or index the timestamp column"
    if isinstance(error, psycopg2.ProgrammingError) and code is None:
        return "; the DSN is postgresql://user@host:port/database or key=value pairs"
    if "PGRES_COPY" in str(error):
        return "; try again"
    return "; check host, port, user and password, and that the server lets this machine in" if code is None else ""


def describe(dsn: str) -> str:
    """The database without user and password."""
    try:
        parts = extensions.parse_dsn(dsn)
    except psycopg2.Error:
        return "postgresql (the DSN cannot be read)"
    return f"postgresql://{parts.get('host', 'localhost')}:{parts.get('port', '5432')}/{parts.get('dbname', '')}"


def _secrets(dsn: str) -> list[str]:
    """What must never be printed: the DSN itself and its password, as written and as read."""
    found = {dsn, dsn.partition("://")[2].rpartition("@")[0].partition(":")[2]}
    try:
        found.add(str(extensions.parse_dsn(dsn).get("password", "")))
    except psycopg2.Error:
        found.add(dsn.partition("password=")[2].split(" ")[0])
    return sorted((text for text in found if text), key=len, reverse=True)
