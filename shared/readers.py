"""Readers of log exports: CSV, JSON and JSON lines, plain or gzip. Rows are streamed: memory stays flat."""

from __future__ import annotations

import bisect
import csv
import gzip
import io
import math
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from shared.clean import clean
from shared.errors import ExportError
from shared.frame import (
    ALIASES,
    LAST_TIME,
    MAX_MESSAGE,
    MAX_NAME,
    NO_HOST,
    BadRow,
    Export,
    OnBad,
    column_map,
    parse_severity,
    parse_time,
    plain_program,
)
from shared.values import Row

MAX_LINE = 16 << 20  # characters of a line, and of one JSON value; what is longer is a bad row
_KNOWN = 50_000  # names that are kept to share one object; cleared when full
CHUNK = 1 << 16
MARK_EVERY = 20_000  # rows between two places in a file that are remembered


def open_reader(path: Path) -> Export:
    """The reader for this file, by its first bytes."""
    with opened(path) as text:
        head = text.read(CHUNK)
    start = head.lstrip()
    if not start:
        raise ExportError(f"reading {path}: the file is empty; export the logs again")
    if "\0" in start[:16] and not start[:1].isalnum():
        raise ExportError(f"reading {path}: this is no text file; an export is CSV, JSON or JSON lines (gzip allowed)")
    if start[0] in "[{":
        from shared.json_readers import open_json  # it stands on this file

        return open_json(path, start)
    return CsvExport(path)


@contextmanager
def opened(path: Path) -> Iterator[TextIO]:
    """The file as text; driver and decompression errors become ExportError."""
    try:
        with path.open("rb") as raw:
            magic = raw.read(4)
            raw.seek(0)
            packed = magic[:2] == b"\x1f\x8b"
            stream: Any = io.BufferedReader(gzip.GzipFile(fileobj=raw), CHUNK) if packed else raw  # type: ignore[arg-type]
            start = stream.peek(4)[:4] if packed else magic
            encoding = "utf-16" if start[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
            with io.TextIOWrapper(stream, encoding=encoding, errors="replace", newline="") as text:
                yield text
    except FileNotFoundError as error:
        raise ExportError(f"reading {path}: no such file; check the path") from error
    except IsADirectoryError as error:
        raise ExportError(f"reading {path}: this is a folder; name the export file in it") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ExportError(
            f"reading {path}: the gzip file is cut off or damaged ({error}); copy or export it again"
        ) from error
    except OSError as error:
        raise ExportError(f"reading {path}: {error.strerror or error}; check the path and its permissions") from error


class _Names:
    """Raw cell → value, each computed once: hosts, programs and severities repeat in every row."""

    def __init__(self, convert: Callable[[str], Any]) -> None:
        self.known: dict[str, Any] = {}
        self._convert = convert

    def add(self, raw: str) -> Any:
        if len(self.known) >= _KNOWN:
            self.known.clear()
        value = self.known[raw] = self._convert(raw)
        return value


class Reader:
    """What the three kinds share: counting rows, bad rows, errors with file and line."""

    kind = ""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._text: Any = None  # that of the newest reading

    def __getstate__(self) -> dict[str, Any]:
        """For another process, which opens the file anew."""
        return {**self.__dict__, "_text": None}

    @property
    def read_bytes(self) -> int:
        if self._text is None or self._text.closed:
            return 0 if self._text is None else self.path.stat().st_size
        raw = self._text.buffer.raw
        return int(getattr(raw, "fileobj", raw).tell())  # of a gzip file, how much of the packed one

    @property
    def metadata(self) -> dict[str, Any]:
        return {}

    def _default_host(self) -> str:
        for name in ("host", "hostname", "device_id", "source_host"):
            value = self.metadata.get(name)
            if isinstance(value, str) and value.strip():
                return value.strip()
        return NO_HOST

    def rows(self, on_bad: OnBad | None = None, since: float = -math.inf) -> Iterator[Row]:
        bad = 0

        def report(line: int, reason: str, detail: str) -> None:
            nonlocal bad
            bad += 1
            if on_bad is None:
                raise ExportError(
                    f"reading {self.path}, line {line}: {reason}: {detail}; `validate` lists all bad rows"
                )
            on_bad(BadRow(line, reason, detail))

        with opened(self.path) as text:
            self._text = text
            rows = self._read(text, report, since)
            first = next(rows, None)
            if first is not None:
                yield first
                yield from rows
        if first is None and not bad and since == -math.inf:
            raise ExportError(f"reading {self.path}: there are no rows in it; check the date range of the export")

    def _read(self, text: TextIO, report: Callable[[int, str, str], None], since: float) -> Iterator[Row]:
        raise NotImplementedError


def why_no_time(stamp: object, error: Exception) -> str:
    cause = str(error) if "outside" in str(error) else "not ISO 8601 and no number"
    return f"{clean(str(stamp), 60)!r} ({cause})"


class CsvExport(Reader):
    """A CSV file with a header line; comma, semicolon or tab."""

    kind = "csv"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._marks: list[tuple[float, int, int]] = []  # (newest time before it, place in the text, rows before it)
        with opened(path) as text:
            self._header(text)

    def _header(self, text: TextIO) -> tuple[dict[str, int], int, str]:
        first = text.readline(MAX_LINE)
        while first and not first.strip():
            first = text.readline(MAX_LINE)
        delimiter = max(
            ",;\t", key=lambda mark: sum(cell.strip('" \r\n').lower() in ALIASES for cell in first.split(mark))
        )
        names = next(csv.reader([first], delimiter=delimiter), [])
        return column_map(names, str(self.path)), len(names), delimiter

    def _skip(self, text: TextIO, since: float) -> tuple[float, int, int]:
        """Go to the last remembered place before which every row is older than `since` (s); gives its mark."""
        mark = bisect.bisect_left(self._marks, (since,)) - 1
        if mark < 0:
            return -math.inf, 0, 0
        text.seek(self._marks[mark][1])
        return self._marks[mark]

    def _read(self, text: TextIO, report: Callable[[int, str, str], None], since: float) -> Iterator[Row]:
        columns, width, delimiter = self._header(text)
        at_time, at_program, at_message = columns["timestamp"], columns["program"], columns["message"]
        # a missing column is read from the cell beyond the row, see `cells.append`
        at_id, at_host = columns.get("id", width), columns.get("host", width)
        at_pid, at_severity = columns.get("pid", width), columns.get("severity", width)
        programs, hosts, severities = (
            _Names(plain_program),
            _Names(lambda raw: raw.strip()[:MAX_NAME] or self._default_host()),
            _Names(parse_severity),
        )
        program_of, host_of, severity_of = programs.known.get, hosts.known.get, severities.known.get
        from_iso, utc = datetime.fromisoformat, UTC
        csv.field_size_limit(MAX_LINE)
        # line by line with a limit: one endless line must not fill the memory
        reader = csv.reader(iter(partial(text.readline, MAX_LINE), ""), delimiter=delimiter)
        newest, _, number = self._skip(text, since)
        due = (self._marks[-1][2] if self._marks else 0) + MARK_EVERY
        while True:
            try:
                for cells in reader:
                    if len(cells) != width:
                        if cells:
                            number += 1
                            report(reader.line_num + 1, "wrong number of columns", f"{len(cells)} instead of {width}")
                        continue
                    number += 1
                    cells.append("")
                    stamp = cells[at_time]
                    try:
                        moment = from_iso(stamp)
                        if stamp[4] != "-":
                            raise ValueError  # digits only may be a number of seconds
                        time_s = (moment if moment.tzinfo is not None else moment.replace(tzinfo=utc)).timestamp()
                        if not 0.0 <= time_s < LAST_TIME:
                            raise ValueError
                    except (ValueError, OverflowError):
                        try:
                            time_s = parse_time(stamp)
                        except (ValueError, OverflowError) as error:
                            report(reader.line_num + 1, "no usable timestamp", why_no_time(stamp, error))
                            continue
                    raw = cells[at_program]
                    program = program_of(raw)
                    if program is None:
                        program = programs.add(raw)
                    raw = cells[at_host]
                    host = host_of(raw)
                    if host is None:
                        host = hosts.add(raw)
                    raw = cells[at_severity]
                    severity = severity_of(raw)
                    if severity is None:
                        severity = severities.add(raw)
                    message = cells[at_message]
                    if len(message) > MAX_MESSAGE:
                        message = message[:MAX_MESSAGE]
                    try:
                        row_id = int(cells[at_id])
                    except ValueError:
                        row_id = number
                    if time_s > newest:
                        newest = time_s
                    if number >= due:  # the reader holds this row alone, and the text stands behind it
                        due = number + MARK_EVERY
                        self._marks.append((newest, text.tell(), number))
                    yield row_id, time_s, host, program, cells[at_pid], severity, message
                return
            except csv.Error as error:
                number += 1
                report(reader.line_num + 1, "not readable as CSV", clean(str(error), 200))
