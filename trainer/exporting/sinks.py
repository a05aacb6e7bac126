"""What becomes of the server's CSV on its way into an export file: kept as it is, or turned into JSON."""

from __future__ import annotations

import csv
import io
import json
import time
from typing import IO, Any

from shared.errors import ExportError
from shared.frame import COLUMNS, parse_time
from trainer.progress import Progress

PROGRESS_BYTES = 1 << 20


class Bounded:
    """A file that takes so many bytes and not more."""

    def __init__(self, file: IO[bytes], limit: int | None) -> None:
        self._file, self._limit, self._taken = file, limit, 0

    def write(self, data: bytes) -> int:
        """Write on.

        Raises:
            ExportError: that would be too much.
        """
        self._taken += len(data)
        if self._limit is not None and self._taken > self._limit:
            raise ExportError(
                f"export: more than {self._limit:,} bytes, the limit of TRAINING_MAX_UPLOAD; take fewer days or programs"
            )
        return self._file.write(data)

    def flush(self) -> None:
        """Nothing is held back here."""
        self._file.flush()


class CsvSink:
    """Takes the server's CSV as it comes. Rows are counted by the line breaks that are not within quotes."""

    def __init__(
        self, stream: IO[bytes], said: dict[str, Any], progress: Progress, span: tuple[float, float] | None = None
    ) -> None:
        self.rows = 0
        self._span = span  # (s); rows come in order of time, so a row's time says how much is done
        self.last_write = time.monotonic()  # when the server last sent something
        self._stream = stream
        self._progress = progress
        self._bytes = self._shown = 0
        self._quoted = False
        self.start(said)

    def start(self, said: dict[str, Any]) -> None:
        """Before the first row."""
        self._stream.write((",".join(COLUMNS) + "\n").encode())

    def write(self, data: bytes) -> int:
        """Called by the driver with a piece of the server's answer; pieces are mostly, not surely, whole rows."""
        for part_number, part in enumerate(data.split(b'"')):
            if part_number:
                self._quoted = not self._quoted
            if not self._quoted:
                self.rows += part.count(b"\n")
        self.last_write = time.monotonic()
        self.take(data)
        self._bytes += len(data)
        if self._bytes - self._shown >= PROGRESS_BYTES:
            self._shown = self._bytes
            self._progress(f"{self.rows:,} rows, {self._bytes >> 20:,} MB", self._share(data))
        return len(data)

    def _share(self, data: bytes) -> float | None:
        """How much of the span has gone by at this row; None where that cannot be told."""
        if self._span is None:
            return None
        start, end = self._span
        try:
            return min(1.0, max(0.0, (parse_time(data.split(b",", 2)[1].decode()) - start) / (end - start)))
        except (ValueError, IndexError):  # the piece began within a row
            return None

    def take(self, data: bytes) -> None:
        """Keep a piece."""
        self._stream.write(data)

    def finish(self) -> None:
        """After the last row."""


class JsonLinesSink(CsvSink):
    """Turns the server's CSV into one JSON object a line."""

    between = "\n"

    def start(self, said: dict[str, Any]) -> None:
        """Nothing stands before the first row."""
        self._rest = b""
        self._any = False

    def take(self, data: bytes) -> None:
        """Rows that are whole are written, the rest waits for its end."""
        pending = self._rest + data
        if self._quoted or not pending.endswith(b"\n"):
            self._rest = pending
            return
        self._rest = b""
        text = io.StringIO(pending.decode("utf-8", "replace"), newline="")
        for row in csv.reader(text):
            self._stream.write(((self.between if self._any else "") + self._object(row)).encode())
            self._any = True

    def finish(self) -> None:
        """A last line end, as text files have it."""
        if self._any:
            self._stream.write(b"\n")

    @staticmethod
    def _object(row: list[str]) -> str:
        values: dict[str, object] = dict(zip(COLUMNS, row, strict=True))
        values["id"] = int(row[0]) if row[0].lstrip("-").isdecimal() else row[0]
        return json.dumps(values, ensure_ascii=False)


class JsonSink(JsonLinesSink):
    """{"logs": [...], "metadata": {...}}; the metadata stands behind the rows, because it says how many there are."""

    between = ",\n"

    def start(self, said: dict[str, Any]) -> None:
        super().start(said)
        self._said = said
        self._stream.write(b'{"logs": [\n')

    def finish(self) -> None:
        """The end of the list, and what the export says of itself."""
        metadata = json.dumps({**self._said, "total_records": self.rows}, ensure_ascii=False)
        self._stream.write(f'\n], "metadata": {metadata}}}\n'.encode())


SINKS: dict[str, type[CsvSink]] = {"csv": CsvSink, "json": JsonSink, "jsonl": JsonLinesSink}
