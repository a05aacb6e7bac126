"""Somebody changed the inbox: a hint that ends the daemon's wait early. The poll is the truth.

However many events arrive, there is one hint in a quarter of a second at most.

The agents' folders are watched, not the links in them: a watch put on a link goes blind after the first swap, and one
on a folder that is itself replaced sees nothing more, so the folders are looked up anew at each `refresh`. The only
user of watchdog.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from watchdog.events import FileSystemEvent, FileSystemEventHandler

from shared import layout

logger = logging.getLogger(__name__)

DEBOUNCE_S = 0.25
IGNORED = ("opened", "closed_no_write", "accessed")


class InboxWatch(FileSystemEventHandler):
    """Calls `hint` a moment after a change in the inbox or an agent's folder of it, once for all changes of that moment."""

    def __init__(self, inbox: Path, hint: Callable[[], None], debounce_s: float = DEBOUNCE_S) -> None:
        self._inbox, self._hint, self._debounce_s = inbox, hint, debounce_s
        self._observer: Any = None
        self._watched: dict[Path, tuple[int, int]] = {}
        self._pending = False

    def refresh(self) -> None:
        """Watch the folders that are there now; where watching is not possible the poll alone must do."""
        there = _folders(self._inbox)
        if there == self._watched and self._observer is not None and self._observer.is_alive():
            return
        self.stop()
        try:
            self._start(list(there))
        except OSError as error:
            logger.warning("cannot watch the inbox, polling only inbox=%s error=%s", self._inbox, error)
            self.stop()
            return
        self._watched = there

    def _start(self, folders: list[Path]) -> None:
        from watchdog.observers import Observer  # picks inotify, kqueue or polling: costs time and memory, so only here

        self._observer = Observer()
        for folder in folders:
            self._observer.schedule(self, str(folder), recursive=False)
        self._observer.daemon = True
        self._observer.start()

    def on_any_event(self, event: FileSystemEvent) -> None:
        """A change: the hint is on its way, or is sent off now. Only the observer's one thread calls this."""
        if event.event_type in IGNORED or self._pending:
            return
        self._pending = True
        timer = threading.Timer(self._debounce_s, self._send)
        timer.daemon = True
        timer.start()

    def _send(self) -> None:
        self._pending = False  # first: a change that comes from now on needs a hint of its own
        self._hint()

    def stop(self) -> None:
        """End watching; `refresh` begins again."""
        observer, self._observer, self._watched = self._observer, None, {}
        if observer is not None:
            observer.unschedule_all()
            if observer.is_alive():
                observer.stop()
                observer.join(timeout=2.0)


def _folders(inbox: Path) -> dict[Path, tuple[int, int]]:
    """The inbox and the folders in it, with what tells a folder from another of the same name."""
    found: dict[Path, tuple[int, int]] = {}
    try:
        # Each watch is two threads: a few folders are watched, an upload under way is none of our business.
        for folder in (inbox, *(inbox / agent for agent in layout.some_agents(inbox))):
            status = folder.stat()
            found[folder] = (status.st_dev, status.st_ino)
    except OSError as error:
        logger.debug("inbox is not there yet inbox=%s error=%s", inbox, error)
    return found
