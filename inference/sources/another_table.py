"""A log table that is not the one that was read: restored from a backup, emptied, or filled anew.

Its ids then begin again below the cursor, and waiting for higher ones would be silence for ever. It shows by the newest
row, which has a used id and was written since; and, where the new ids have passed the cursor already, by the last row that
was read, which has another time now. Reading goes on with the rows of the windows that are open, the others are judged.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable
from datetime import UTC, datetime

from inference.source import Cursor, Head, LogSource

logger = logging.getLogger(__name__)

SAME_S = 0.001  # a row's time is read the same every time, but for rounding


def begin_again(source: LogSource, cursor: Cursor, head: Head, closed: Iterable[float]) -> Cursor:
    """Where to go on in a table that is another one; `closed`: up to when each agent has judged."""
    since = min([cursor.moved, *(time for time in closed if math.isfinite(time))])
    first = source.first_id_since(since)
    before = head.max_id - 1 if first is None else first - 1
    logger.warning(
        "the log table counts its ids anew, reading goes on with newer rows last_id=%d newest_id=%d after_id=%d",
        cursor.last, head.max_id, before,
    )  # fmt: skip
    nothing_read = cursor.first == cursor.last  # rows below were to be neither read nor missed
    return Cursor(before if nothing_read else 0, before, expired=cursor.expired)


def was_replaced(source: LogSource, cursor: Cursor) -> bool:
    """Whether the newest row that was read is there with another time: others have its id now."""
    if cursor.mark is None:
        return False
    row_id, time = cursor.mark
    now = source.time_of(row_id)
    return now is not None and abs(now - time) > SAME_S


def note_on(cursor: Cursor, head: Head) -> str:
    """What people are told while the newest row lies below what was read; empty where it does not."""
    if head.max_id >= cursor.last or not cursor.moved:
        return ""
    read = datetime.fromtimestamp(cursor.moved, UTC)
    return (
        f"the newest row of the log table has id {head.max_id}, and id {cursor.last} was read ({read:%Y-%m-%d %H:%M} UTC):"
        " rows were deleted or an older copy put back; reading goes on with the next row that is written"
    )


def told_of(cursor: Cursor, now: float) -> str:
    """What people are told once reading goes on from another table's rows."""
    at = datetime.fromtimestamp(now, UTC)
    return (
        f"the log table counted its ids anew at {at:%Y-%m-%d %H:%M} UTC (emptied, or restored from a backup); it is read"
        f" on behind id {cursor.last}, and what was judged stays"
    )
