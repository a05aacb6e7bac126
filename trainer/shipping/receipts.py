"""Receipts: what a Pi says became of a bundle, read back by the trainer."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from shared import layout
from shared.clean import clean
from trainer.remote import Remote

LIMIT = 64 * 1024


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a Pi says became of a bundle; its texts are cleaned, since the Pi may not be what it was."""

    agent: str
    version: str
    serial: int
    manifest_sha256: str
    state: str
    code: str
    reason: str
    pi: str
    at: str
    previous: str | None


def read_agent_receipt(remote: Remote, agent: str) -> Receipt | None:
    """The newest receipt of an agent, which says what serves there."""
    name, _ = layout.receipt_names(agent, "")
    found = remote.read(f"../{layout.RECEIPTS}/{name}", LIMIT)
    return parse_receipt(found) if found else None


def parse_receipt(raw: bytes) -> Receipt | None:
    """A receipt, or None where this is none (yet)."""
    try:
        said: dict[str, Any] = json.loads(raw)
        texts = {
            name: clean(str(said[name]), 2000)
            for name in Receipt.__dataclass_fields__
            if name not in ("serial", "previous")
        }
        previous = said["previous"]
        return Receipt(
            **texts,
            serial=int(said["serial"]),
            previous=previous if isinstance(previous, str) and layout.is_version(previous) else None,
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
