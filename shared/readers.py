"""Readers of log exports: CSV, JSON and JSON lines, plain or gzip. Rows are streamed: memory stays flat."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
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
    NO_HOST,
    BadRow,
    Export,
    OnBad,
    column_map,
    parse_severity,
    parse_time,
    plain_program,
)
from shared.values import NO_SEVERITY, Row

MAX_LINE = 16 << 20  # characters of a line, and of one JSON value; what is longer is a bad row
_KNOWN = 50_000  # names that are kept to share one object; cleared when full
_CHUNK = 1 << 16


def open_reader(path: Path) -> Export:
    """The reader for this file, by its first bytes."""
    with _text(path) as text:
        head = text.read(_CHUNK)
    start = head.lstrip()
    if not start:
        raise ExportError(f"reading {path}: the file is empty; export the logs again")
    if "\0" in start[:16] and not start[:1].isalnum():
        raise ExportError(f"reading {path}: this is no text file; an export is CSV, JSON or JSON lines (gzip allowed)")
    if start[0] == "[" or (start[0] == "{" and _is_document(start)):
        return JsonExport(path)
    return JsonLinesExport(path) if start[0] == "{" else CsvExport(path)


def _is_document(head: str) -> bool:
    """{"logs": [...]} and not the first object of JSON lines."""
    try:
        value, _ = json.JSONDecoder().raw_decode(head)
    except (ValueError, RecursionError):  # longer than the head
        return re.search(r'"logs"\s*:\s*\[', head) is not None
    return isinstance(value, dict) and (
        isinstance(value.get("logs"), list) or not any(str(key).lower() in ALIASES for key in value)
    )


@contextmanager
def _text(path: Path) -> Iterator[TextIO]:
    """The file as text; driver and decompression errors become ExportError."""
    try:
        with path.open("rb") as raw:
            magic = raw.read(4)
            raw.seek(0)
            packed = magic[:2] == b"\x1f\x8b"
            stream: Any = io.BufferedReader(gzip.GzipFile(fileobj=raw), _CHUNK) if packed else raw  # type: ignore[arg-type]
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


class _Reader:
    """What the three kinds share: counting rows, bad rows, errors with file and line."""

    kind = ""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def metadata(self) -> dict[str, Any]:
        return {}

    def _default_host(self) -> str:
        for name in ("host", "hostname", "device_id", "source_host"):
            value = self.metadata.get(name)
            if isinstance(value, str) and value.strip():
                return value.strip()
        return NO_HOST

    def rows(self, on_bad: OnBad | None = None) -> Iterator[Row]:
        bad = 0

        def report(line: int, reason: str, detail: str) -> None:
            nonlocal bad
            bad += 1
            if on_bad is None:
                raise ExportError(
                    f"reading {self.path}, line {line}: {reason}: {detail}; `validate` lists all bad rows"
                )
            on_bad(BadRow(line, reason, detail))

        count = 0
        with _text(self.path) as text:
            for row in self._read(text, report):
                count += 1
                yield row
        if not count and not bad:
            raise ExportError(f"reading {self.path}: there are no rows in it; check the date range of the export")

    def _read(self, text: TextIO, report: Callable[[int, str, str], None]) -> Iterator[Row]:
        raise NotImplementedError


class CsvExport(_Reader):
    """A CSV file with a header line; comma, semicolon or tab."""

    kind = "csv"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        with _text(path) as text:
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

    def _read(self, text: TextIO, report: Callable[[int, str, str], None]) -> Iterator[Row]:
        columns, width, delimiter = self._header(text)
        at_time, at_program, at_message = columns["timestamp"], columns["program"], columns["message"]
        # a missing column is read from the cell beyond the row, see `cells.append`
        at_id, at_host = columns.get("id", width), columns.get("host", width)
        at_pid, at_severity = columns.get("pid", width), columns.get("severity", width)
        programs, hosts, severities = (
            _Names(plain_program),
            _Names(lambda raw: raw.strip() or self._default_host()),
            _Names(parse_severity),
        )
        program_of, host_of, severity_of = programs.known.get, hosts.known.get, severities.known.get
        from_iso, utc = datetime.fromisoformat, UTC
        csv.field_size_limit(MAX_LINE)
        # line by line with a limit: one endless line must not fill the memory
        reader = csv.reader(iter(partial(text.readline, MAX_LINE), ""), delimiter=delimiter)
        number = 0
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
                            report(reader.line_num + 1, "no usable timestamp", _why(stamp, error))
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
                    yield row_id, time_s, host, program, cells[at_pid], severity, message
                return
            except csv.Error as error:
                number += 1
                report(reader.line_num + 1, "not readable as CSV", clean(str(error), 200))


def _why(stamp: object, error: Exception) -> str:
    cause = str(error) if "outside" in str(error) else "not ISO 8601 and no number"
    return f"{clean(str(stamp), 60)!r} ({cause})"


class _JsonRows(_Reader):
    """Rows from JSON objects; keys by name or alias."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._keys: dict[tuple[str, ...], dict[str, str]] = {}

    def _row(self, value: object, number: int) -> Row | tuple[str, str]:
        """A row, or (reason, detail) of a bad one."""
        if not isinstance(value, dict):
            return "not an object", clean(repr(value), 60)
        names = self._names(value)
        missing = [column for column in ("timestamp", "program", "message") if value.get(names.get(column, "")) is None]
        if missing:
            return f"no {missing[0]}", clean(", ".join(map(str, value)), 120)
        stamp, message = value[names["timestamp"]], value[names["message"]]
        try:
            time_s = parse_time(stamp if isinstance(stamp, str) else repr(stamp))
        except (ValueError, OverflowError) as error:
            return "no usable timestamp", _why(stamp, error)
        host, severity, pid, row_id = (value.get(names.get(column, "")) for column in ("host", "severity", "pid", "id"))
        return (
            row_id if type(row_id) is int else _int_or(row_id, number),
            time_s,
            _sound(str(host)) if host else self._default_host(),
            plain_program(_sound(str(value[names["program"]]))),
            "" if pid is None else _sound(str(pid)),
            NO_SEVERITY if severity is None else parse_severity(str(severity)),
            _sound(str(message)[:MAX_MESSAGE]),
        )

    def _names(self, value: dict[str, Any]) -> dict[str, str]:
        """Canonical column → key of this object; objects of one export mostly have the same keys."""
        keys = tuple(value)
        names = self._keys.get(keys)
        if names is None:
            names = {}
            for key in keys:
                column = ALIASES.get(str(key).lower())
                if column is not None and (column not in names or key == column):
                    names[column] = key
            if len(self._keys) > 1000:
                self._keys.clear()
            self._keys[keys] = names
        return names


def _int_or(value: object, other: int) -> int:
    try:
        return int(str(value))
    except ValueError:
        return other


def _sound(text: str) -> str:
    """Without lone surrogates, which JSON can smuggle in and no store takes."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


class JsonLinesExport(_JsonRows):
    """One JSON object a line."""

    kind = "jsonl"

    def _read(self, text: TextIO, report: Callable[[int, str, str], None]) -> Iterator[Row]:
        for number, line in enumerate(iter(partial(text.readline, MAX_LINE), ""), start=1):
            if not line.strip():
                continue
            try:
                value = json.loads(line)
            except (ValueError, RecursionError) as error:
                report(number, "not readable as JSON", clean(str(error), 120))
                continue
            row = self._row(value, number)
            if len(row) == 2:
                report(number, *row)
            else:
                yield row


class JsonExport(_JsonRows):
    """{"logs": [...], "metadata": {...}} (in any order), or a bare list of objects."""

    kind = "json"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._said: dict[str, Any] = {}
        self._complete = False
        with _text(path) as text:
            walker = _Walker(text, str(path))
            self._to_rows(walker)

    @property
    def metadata(self) -> dict[str, Any]:
        """Read from the beginning of the file, or, where it stands behind the rows, by one pass to its end."""
        if not self._said and not self._complete:
            self._complete = True
            with _text(self.path) as text:
                tail = ""
                while chunk := text.read(1 << 20):
                    tail = (tail + chunk)[-(1 << 20) :]
            # a quote within a message is escaped, so this finds the key only
            for match in re.finditer(r'(?<!\\)"metadata"\s*:\s*(?=\{)', tail):
                try:
                    self._said = json.JSONDecoder().raw_decode(tail, match.end())[0]
                except ValueError:
                    continue
        return self._said

    def _to_rows(self, walker: _Walker) -> bool:
        """Walk to the first row; keeps metadata met on the way. False when there is no `logs`."""
        if walker.next_mark() == "[":
            walker.skip()
            return True
        walker.expect("{")
        while walker.next_mark() != "}":
            key = walker.value()
            walker.expect(":")
            if key == "logs" and walker.next_mark() == "[":
                walker.skip()
                return True
            value = walker.value()
            if key == "metadata" and isinstance(value, dict):
                self._said = value
            if walker.next_mark() == ",":
                walker.skip()
        raise ExportError(
            f'reading {self.path}: no list "logs" in it; an export is {{"logs": [...]}}, a list, JSON lines or CSV'
        )

    def _read(self, text: TextIO, report: Callable[[int, str, str], None]) -> Iterator[Row]:
        walker = _Walker(text, str(self.path))
        self._to_rows(walker)
        number = 0
        while walker.next_mark() != "]":
            number += 1
            row = self._row(walker.value(), number)
            if len(row) == 2:
                report(walker.line, *row)
            else:
                yield row
            if walker.next_mark() == ",":
                walker.skip()


class _Walker:
    """A sliding window over JSON text: gives one value after another without holding the whole document."""

    def __init__(self, text: TextIO, where: str) -> None:
        self._text = text
        self._where = where
        self._buffer = ""
        self._at = 0
        self._lines = 1  # of what left the buffer
        self._decode = json.JSONDecoder().raw_decode
        self._blank = re.compile(r"\s*")

    @property
    def line(self) -> int:
        """The line that is being read."""
        return self._lines + self._buffer.count("\n", 0, self._at)

    def next_mark(self) -> str:
        """The next character that is not blank, not yet taken."""
        while True:
            match = self._blank.match(self._buffer, self._at)
            self._at = match.end() if match else self._at
            if self._at < len(self._buffer):
                return self._buffer[self._at]
            if not self._more():
                raise ExportError(
                    f"reading {self._where}, line {self.line}: the file is cut off; copy or export it again"
                )

    def skip(self) -> None:
        """Take the mark."""
        self._at += 1

    def expect(self, mark: str) -> None:
        """Take this mark or fail."""
        found = self.next_mark()
        if found != mark:
            raise ExportError(
                f"reading {self._where}, line {self.line}: {clean(found)!r} where {mark!r} belongs; the file is damaged"
            )
        self.skip()

    def value(self) -> Any:
        """The next whole value."""
        self.next_mark()
        size = _CHUNK
        while True:
            try:
                value, end = self._decode(self._buffer, self._at)
                if end < len(self._buffer) or not self._more():
                    self._at = end
                    return value
            except (ValueError, RecursionError) as error:
                waiting = len(self._buffer) - self._at
                if waiting > MAX_LINE or isinstance(error, RecursionError):
                    raise ExportError(
                        f"reading {self._where}, line {self.line}: not readable as JSON ({error})"
                    ) from error
                if not self._more(size):
                    raise ExportError(
                        f"reading {self._where}, line {self.line}: the file is cut off or damaged "
                        f"({error}); copy or export it again"
                    ) from error
                size *= 2

    def _more(self, size: int = _CHUNK) -> bool:
        chunk = self._text.read(size)
        if chunk:
            self._lines += self._buffer.count("\n", 0, self._at)
            self._buffer = self._buffer[self._at :] + chunk
            self._at = 0
        return bool(chunk)
