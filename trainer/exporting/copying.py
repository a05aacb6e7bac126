"""A COPY that can be given up: by its own watch when the server says nothing, and at once when this process is told to end.

The driver does not look up from a COPY: no signal handler runs while it waits for the server. So it works in a thread of
its own, and the main thread waits beside it.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from typing import Any

from trainer.exporting.sinks import CsvSink

CANCEL_S = 2.0  # for the server to hear that nobody waits any more
LOOK_S = 1.0


def copy_watched(cursor: Any, statement: bytes, sink: CsvSink, stall_s: float) -> None:
    """Run the COPY into the sink; the connection is ended when nothing has come for `stall_s`.

    A peer that acknowledges packets and never answers is beyond all of the driver's and the server's time limits.
    Whatever ends the wait (a signal's exception, Ctrl-C) ends the query on the server too, then goes on. Raises what
    the driver or the sink raised.
    """
    failed: list[BaseException] = []

    def work() -> None:
        try:
            cursor.copy_expert(statement, sink)
        except BaseException as error:  # handed to the thread that waits
            failed.append(error)

    copying = threading.Thread(target=work, name="export copy", daemon=True)
    with contextlib.closing(socket.socket(fileno=os.dup(cursor.connection.fileno()))) as peer:
        copying.start()
        try:
            while copying.is_alive():
                copying.join(min(LOOK_S, stall_s / 4))
                if time.monotonic() - sink.last_write > stall_s:
                    _hang_up(peer)
        except BaseException:
            _give_up(cursor.connection, peer, copying)
            raise
    if failed:
        raise failed[0]


def _give_up(connection: Any, peer: socket.socket, copying: threading.Thread) -> None:
    """Ask the server to stop; where it does not hear that, hang up."""
    asking = threading.Thread(target=_ask_to_stop, args=(connection,), daemon=True)
    asking.start()
    copying.join(CANCEL_S)
    _hang_up(peer)
    copying.join(CANCEL_S)


def _ask_to_stop(connection: Any) -> None:
    with contextlib.suppress(Exception):  # where that fails, hanging up is what is left
        connection.cancel()


def _hang_up(peer: socket.socket) -> None:
    with contextlib.suppress(OSError):
        peer.shutdown(socket.SHUT_RDWR)
