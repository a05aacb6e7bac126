"""`check`: everything the service stands on, each with what to do when it is wrong."""

from __future__ import annotations

import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

from inference.config import Settings
from inference.cures import REDIS, cured
from inference.keeping.disk import Disk
from inference.keeping.file import check_form
from inference.keeping.reading import connect_read
from inference.live import Connection, RedisError, check_url
from inference.publishing import CLOCK_TOLERANCE_S
from inference.sources.opening import describe_source, open_source
from shared import layout
from shared.clean import clean
from shared.errors import PipitError

GOOD, ODD, WRONG = "good", "odd", "wrong"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at. `cure` is what to do; empty where nothing is wrong."""

    what: str
    state: str  # good, odd (works, but look) or wrong
    found: str
    cure: str = ""

    def as_json(self) -> dict[str, str]:
        """For --json."""
        return asdict(self)


# What to do where a part cannot even be looked at; what is found in it has a cure of its own.
CURES = {
    "database": "start it, or correct INFERENCE_DATABASE_URL: host, port, name, user and password",
    "disk": "check the state folder's owner and permissions",
    "state": "end what uses it, or move it aside: what the log still has is judged again",
    "inbox": "check the inbox's owner and permissions",
    "keys": "let the service's user read the allowed signers file",
    "redis": "correct INFERENCE_REDIS_URL or empty it; judging goes on without Redis",
}


def check_all(settings: Settings) -> list[Check]:
    """Look at everything; one part's failure does not hide another's."""
    found: list[Check] = []
    for name, look in LOOKS.items():
        try:
            found += look(settings)
        except (PipitError, OSError) as error:
            text, _, cure = str(error).partition("; ")
            found.append(Check(name, WRONG, text, cure or CURES[name]))
    return found


def check_text(found: list[Check]) -> str:
    """One line a check, the cure below it."""
    lines = []
    for each in found:
        lines.append(f"{each.state:<6} {each.what:<10} {clean(each.found, 300)}")
        if each.cure:
            lines.append(f"{'':<18}→ {clean(each.cure, 300)}")
    return "\n".join(lines)


def _database(settings: Settings) -> Iterator[Check]:
    source = open_source(settings)
    try:
        head = source.head()
        yield Check("database", GOOD, f"{describe_source(settings)}, table {settings.table}, newest id {head.max_id}")
        newest = source.newest_time()
        if newest is None:
            yield Check("rows", ODD, "the table is empty", "let rsyslog write into it (docs/installation.md)")
        warnings = source.warnings()
        for warning in warnings:
            text, _, cure = warning.partition("; ")
            yield Check("index", ODD, text, cure)
        if not warnings:
            yield Check("index", GOOD, "id and timestamp are indexed")
        apart = time.time() - head.now
        yield (
            Check("clock", GOOD, f"{apart:+.1f} s from the database's")
            if abs(apart) <= CLOCK_TOLERANCE_S
            else Check(
                "clock",
                ODD,
                f"{apart:+.0f} s from the database's",
                "switch on time synchronisation (timedatectl set-ntp true)",
            )
        )
    finally:
        source.close()


def _disk(settings: Settings) -> Iterator[Check]:
    folder = settings.state_folder
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    usage = shutil.disk_usage(folder)
    found = f"{usage.free / 1e9:.1f} GB free for {folder}"
    if Disk(folder).is_nearly_full():
        yield Check(
            "disk", WRONG, found, "make room: the daemon reads no more rows until there is; nothing is lost meanwhile"
        )
    elif Disk(folder).is_read_only():
        yield Check("disk", WRONG, f"{folder} is on a file system that is mounted read-only",
                    "look into `dmesg`: a card that wears out turns read-only; replace it, or remount it")  # fmt: skip
    elif not os.access(folder, os.W_OK):
        yield Check(
            "disk", WRONG, f"{folder} cannot be written", f"chown it to the service's user (uid {os.geteuid()})"
        )
    else:
        yield Check("disk", GOOD, found)


def _state(settings: Settings) -> Iterator[Check]:
    if not settings.state_file.exists():
        yield Check("state", GOOD, "no state file yet: `pipit-inference run` makes it")
        return
    db = connect_read(settings.state_file)
    try:
        check_form(db, "state")
        yield Check("state", GOOD, f"{settings.state_file.stat().st_size / 1e6:.1f} MB in {settings.state_file}")
    finally:
        db.close()


def _inbox(settings: Settings) -> Iterator[Check]:
    inbox = settings.inbox_folder
    if not inbox.is_dir():
        yield Check("inbox", WRONG, f"{inbox} is not there", f"mkdir -p {inbox}/incoming, owned by the SFTP user")
        return
    if not os.access(inbox, os.R_OK | os.X_OK):
        yield Check("inbox", WRONG, f"{inbox} cannot be read", "let the service's user read and enter it (chmod o+rx)")
    elif inbox.stat().st_mode & stat.S_IWOTH:
        yield Check("inbox", ODD, f"{inbox} may be written by everybody", f"chmod o-w {inbox}")
    elif len(layout.some_agents(inbox, layout.MOST_AGENTS + 1)) > layout.MOST_AGENTS:
        yield Check("inbox", ODD, f"{inbox} holds more than {layout.MOST_AGENTS} agents' folders, not all are looked into",
                    "remove those that no trainer of yours made")  # fmt: skip
    else:
        yield Check("inbox", GOOD, str(inbox))
    receipts = inbox.parent / "receipts"
    if not os.access(receipts if receipts.exists() else inbox.parent, os.W_OK):
        yield Check(
            "receipts",
            ODD,
            f"{receipts} cannot be written",
            "let the service's user write it: trainers wait for receipts",
        )


def _keys(settings: Settings) -> Iterator[Check]:
    signers = settings.signers_file
    if signers is None:
        place = settings.state_folder / "allowed_signers"
        yield Check("keys", WRONG, "no allowed signers: every bundle will be refused",
                    f"put the line of `pipit-trainer keys show` into {place}")  # fmt: skip
        return
    keys = [line for line in signers.read_text("utf-8").splitlines() if line.strip() and not line.startswith("#")]
    if signers.stat().st_mode & (stat.S_IWOTH | stat.S_IWGRP):
        yield Check("keys", WRONG, f"{signers} may be written by others", f"chmod go-w {signers}")
    elif not keys:
        yield Check("keys", WRONG, f"{signers} holds no key", "add the line of `pipit-trainer keys show`")
    else:
        yield Check("keys", GOOD, f"{len(keys)} in {signers}")


def _redis(settings: Settings) -> Iterator[Check]:
    if not settings.redis_url:
        yield Check("redis", GOOD, "not used (INFERENCE_REDIS_URL is empty)")
        return
    check_url(settings.redis_url)
    try:
        connection = Connection(settings.redis_url)
        connection.send([("PING",)])
        connection.close()
        yield Check("redis", GOOD, "answers")
    except RedisError as error:
        text, _, cure = cured(str(error), REDIS).partition("; ")
        cure = cure or "start Redis"
        yield Check("redis", ODD, text, f"{cure}; or empty INFERENCE_REDIS_URL: judging goes on without it")


LOOKS: dict[str, Callable[[Settings], Iterator[Check]]] = {
    "database": _database, "disk": _disk, "state": _state, "inbox": _inbox, "keys": _keys, "redis": _redis,
}  # fmt: skip
