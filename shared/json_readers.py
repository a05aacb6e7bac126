"""Readers of JSON exports: one document with its rows in a list, a bare list, or JSON lines. Rows are streamed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from shared.clean import clean
from shared.errors import ExportError
from shared.frame import ALIASES, MAX_MESSAGE, MAX_NAME, REQUIRED, Export, parse_severity, parse_time, plain_program
from shared.readers import CHUNK, MAX_LINE, Reader, opened, why_no_time
from shared.values import NO_SEVERITY, Row


def open_json(path: Path, head: str) -> Export:
    """The reader for a file that begins with { or [, by its first characters."""
    return JsonExport(path) if head[0] == "[" or _is_document(head) else JsonLinesExport(path)


def _is_document(head: str) -> bool:
    """{"logs": [...]} and not the first object of JSON lines."""
    try:
        value, _ = json.JSONDecoder().raw_decode(head)
    except (ValueError, RecursionError):  # longer than the head
        return re.search(r'"logs"\s*:\s*\[', head) is not None
    return isinstance(value, dict) and (
        isinstance(value.get("logs"), list) or not any(str(key).lower() in ALIASES for key in value)
    )


class _JsonRows(Reader):
    """Rows from JSON objects; keys by name or alias."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._keys: dict[tuple[str, ...], dict[str, str]] = {}

    def _row(self, value: object, number: int) -> Row | tuple[str, str]:
        """A row, or (reason, detail) of a bad one."""
        if not isinstance(value, dict):
            return "not an object", clean(repr(value), 60)
        names = self._names(value)
        missing = [column for column in REQUIRED if value.get(names.get(column)) is None]
        if missing:
            return f"no {missing[0]}", clean(", ".join(map(str, value)), 120)
        stamp, message = value[names["timestamp"]], value[names["message"]]
        try:
            time_s = parse_time(stamp if isinstance(stamp, str) else repr(stamp))
        except (ValueError, OverflowError) as error:
            return "no usable timestamp", why_no_time(stamp, error)
        host, severity, pid, row_id = (value.get(names.get(column)) for column in ("host", "severity", "pid", "id"))
        return (
            row_id if type(row_id) is int else _int_or(row_id, number),
            time_s,
            _sound(str(host)[:MAX_NAME]) if host else self._default_host(),
            plain_program(_sound(value[names["program"]])),
            "" if pid is None else _sound(pid),
            NO_SEVERITY if severity is None else parse_severity(str(severity)),
            _sound(message)[:MAX_MESSAGE],
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


def _sound(value: object) -> str:
    """As text without lone surrogates, which no store takes; journalctl writes bytes that are no text as numbers."""
    if isinstance(value, list):
        with suppress(TypeError, ValueError):
            value = bytes(value).decode("utf-8", "replace")
    text = str(value)
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


class JsonLinesExport(_JsonRows):
    """One JSON object a line."""

    kind = "jsonl"

    def _read(self, text: TextIO, report: Callable[[int, str, str], None], since: float) -> Iterator[Row]:
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
        with opened(path) as text:
            walker = _Walker(text, str(path))
            self._to_rows(walker)

    @property
    def metadata(self) -> dict[str, Any]:
        """Read from the beginning of the file, or, where it stands behind the rows, by one pass to its end."""
        if not self._said and not self._complete:
            self._complete = True
            with opened(self.path) as text:
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

    def _read(self, text: TextIO, report: Callable[[int, str, str], None], since: float) -> Iterator[Row]:
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
        size = CHUNK
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

    def _more(self, size: int = CHUNK) -> bool:
        chunk = self._text.read(size)
        if chunk:
            self._lines += self._buffer.count("\n", 0, self._at)
            self._buffer = self._buffer[self._at :] + chunk
            self._at = 0
        return bool(chunk)
