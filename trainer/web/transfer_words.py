"""Transfers in the words of their tables. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from shared.web import words
from trainer.shipping.history import Transfer

# state of a transfer → its words, class and icon
TRANSFERS = {
    "sent": ("Sent, no answer yet", "mid", "s-wait"),
    "loaded": ("Serves, on probation", "mid", "s-wait"),
    "good": ("Good", "ok", "s-ok"),
    "challenger": ("Judged beside", "ok", "s-ok"),
    "refused": ("Refused", "high", "s-no"),
    "returned": ("Given back", "high", "s-no"),
    "failed": ("Failed", "high", "s-no"),
    "skipped": ("Not sent", "", "s-off"),
    "unknown": ("Not known", "mid", "s-wait"),
}
REPLACED = ("Replaced since", "", "s-off")


def transfer_words(state: str, code: str = "") -> tuple[str, str, str]:
    """Words, class and icon of a transfer's state."""
    if code == "offline":
        return "Offline", "high", "s-no"
    return TRANSFERS.get(state, (words.sentence(state), "", "s-off"))


def state_of(row: Transfer) -> tuple[str, str, str]:
    """The same of one transfer, as far as it still holds: a version that another one took the place of serves no more."""
    if row.replaced and row.state == "loaded":
        return REPLACED
    return transfer_words(row.state, row.code)


def transfers(rows: Iterable[Transfer], now: float) -> list[tuple[Transfer, str, tuple[str, str, str]]]:
    """Transfers with their time and state in words."""
    return [(row, words.moment(row.at, now), state_of(row)) for row in rows]
