"""Shipping: a signed bundle into a Pi's inbox, in steps that leave the old version or the new one active, never half.

`ship()` is the protocol over a Remote. Everything that a server can make durable is durable before the next step
relies on it; the link that says what is wanted is swapped last, in one rename.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from shared import bundle, layout
from shared.errors import BundleError, ShipError
from trainer import targets
from trainer.remote import Progress, Remote, no_progress
from trainer.shipping.receipts import LIMIT, Receipt, parse_receipt
from trainer.shipping.signed import SignedBundle, load_signed
from trainer.shipping.steps import check_space, lies_there, point_link, put_in_place, tidy, upload
from trainer.targets import Target

__all__ = [
    "BESIDE",
    "GOOD",
    "LOADED",
    "REFUSED",
    "RETURNED",
    "STOPPED",
    "Shipped",
    "SignedBundle",
    "Wait",
    "load_signed",
    "raise_if_refused",
    "ship",
    "ship_to",
]

LOADED, GOOD, REFUSED, RETURNED = "loaded", "good", "refused", "returned"
BESIDE = layout.CHALLENGER  # a receipt: it is judged beside the active version
STOPPED = "stopped"  # code of a delivery that somebody ended
ATTEMPTS = 3
_SLOWEST_POLL_S = 5.0


@dataclass(frozen=True, slots=True)
class Wait:
    """How long to wait for the Pi's word, and for which: `loaded` (it serves) or `good` (probation has passed).

    stop: set when nobody wants to wait any longer.
    """

    until: str = LOADED
    timeout_s: float = 180.0
    poll_s: float = 0.2
    clock: Callable[[], float] = time.monotonic
    heard: Callable[[str], None] = lambda _state: None  # is told what a receipt says on the way
    stop: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, slots=True)
class Shipped:
    """What shipping did. Without a receipt the bundle lies there and is wished for, and nobody has asked further."""

    target: str
    agent: str
    version: str
    serial: int
    size_bytes: int
    seconds: float
    receipt: Receipt | None

    @property
    def state(self) -> str:
        """`sent`, or what the receipt says."""
        return self.receipt.state if self.receipt else "sent"


def ship(
    signed: SignedBundle,
    remote: Remote,
    wait: Wait | None = None,
    progress: Progress = no_progress,
    link: str = layout.ACTIVE,
) -> Receipt | None:
    """Bring a bundle into an inbox, make it the one that is wanted, and read the Pi's receipt. May be repeated.

    link: `active`, or `challenger` for a version that is judged beside the active one.

    Raises:
        ShipError: refused on the way; or `unknown` where nobody can know (connection, no receipt in time).
    """
    before = _read_receipt(remote, signed)
    check_space(remote, signed)
    if not lies_there(remote, signed):
        part = upload(remote, signed, progress)
        put_in_place(remote, part, signed)
    point_link(remote, signed, link)
    tidy(remote, signed)
    return _await_receipt(remote, signed, before, wait, link) if wait else None


def ship_to(
    signed: SignedBundle,
    target: Target,
    wait: Wait | None = None,
    progress: Progress = no_progress,
    *,
    connect: Callable[[Target], Remote] = targets.connect,
    sleep: Callable[[float], object] = time.sleep,
    link: str = layout.ACTIVE,
) -> Shipped:
    """Connect and ship, again from the start when the connection breaks (a bundle is small).

    Raises:
        ShipError: as `ship`, after so many attempts.
    """
    began = time.monotonic()
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with contextlib.closing(connect(target)) as remote:
                receipt = ship(signed, remote, wait, progress, link)
            break
        except ShipError as error:
            if error.code != "offline" or attempt == ATTEMPTS:
                raise
            sleep(random.uniform(0.2, 1.0) * 2 ** (attempt - 1))
    manifest = signed.manifest
    seconds = time.monotonic() - began
    return Shipped(target.name, manifest.agent, manifest.version, manifest.serial, manifest.size, seconds, receipt)


def raise_if_refused(shipped: Shipped) -> None:
    """A receipt that says no becomes an error: exit 1; "the disk is full, it is tried again" is unknown: exit 3.

    Raises:
        ShipError: with the receipt's code.
    """
    receipt = shipped.receipt
    if receipt and receipt.state in (REFUSED, RETURNED):
        verb = "refuses" if receipt.state == REFUSED else "took back"
        raise ShipError(
            f"ship: {shipped.target} {verb} {layout.model_id(receipt.agent, receipt.version)}: {receipt.reason} "
            f"[{receipt.code}]; {receipt.previous or 'no other version'} serves there",
            receipt.code,
            unknown=receipt.code == "io",
        )


def _await_receipt(remote: Remote, signed: SignedBundle, before: bytes | None, wait: Wait, link: str) -> Receipt:
    """Read the receipt back until it says what is waited for, or no."""
    manifest = signed.manifest
    deadline, pause_s = wait.clock() + wait.timeout_s, wait.poll_s
    receipt = None
    while True:
        found = _read_receipt(remote, signed)
        if found is not None and found != before:
            receipt = parse_receipt(found)
            if receipt:
                wait.heard(receipt.state)
            if receipt and receipt.state in (GOOD, REFUSED, RETURNED, BESIDE if link == BESIDE else wait.until):
                return receipt
        if wait.stop.is_set():
            return _last_word(signed, receipt)
        if receipt is None:
            _stay_wished(remote, signed, link)
        if wait.clock() >= deadline:
            said = f"it said {receipt.state}, and not yet {wait.until}" if receipt else "no receipt came"
            raise ShipError(
                f"ship: {manifest.model_id} lies in the inbox, but within {wait.timeout_s:g} s {said}; see "
                "whether the daemon runs there (`pipit-inference status`), then ask again with the same command",
                "timeout",
                True,
            )
        wait.stop.wait(pause_s)
        pause_s = min(_SLOWEST_POLL_S, 1.2 * pause_s)


def _last_word(signed: SignedBundle, receipt: Receipt | None) -> Receipt:
    """What the Pi said before somebody stopped waiting.

    Raises:
        ShipError: nothing yet; nobody knows whether it serves.
    """
    if receipt is not None:
        return receipt
    raise ShipError(
        f"ship: stopped before the target said anything: {signed.manifest.model_id} lies in its inbox and is wished for; "
        "the same command asks again",
        STOPPED,
        True,
    )


def _stay_wished(remote: Remote, signed: SignedBundle, link: str) -> None:
    """Another sender may have swapped the link before the Pi saw ours: the newer serial wins, whoever was last."""
    manifest = signed.manifest
    wished = remote.read_link(f"{manifest.agent}/{link}")
    if wished == manifest.version:
        return
    theirs = remote.read(f"{manifest.agent}/{wished}/{bundle.MANIFEST}", 65536) if wished else None
    try:
        newer = theirs is not None and bundle.parse_manifest(theirs).serial > manifest.serial
    except BundleError:
        newer = False
    if newer:
        raise ShipError(
            f"ship: somebody else shipped {manifest.agent} {wished} before the target took {manifest.model_id}",
            "superseded",
        )
    point_link(remote, signed, link)


def _read_receipt(remote: Remote, signed: SignedBundle) -> bytes | None:
    _, name = layout.receipt_names(signed.manifest.agent, signed.manifest.version)
    return remote.read(f"../{layout.RECEIPTS}/{name}", LIMIT)
