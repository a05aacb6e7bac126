"""One cell of the facts under a page's first sentence."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fact:
    """Label, value, note, a sign (ok, mid, high, off, or none), and where to read more."""

    label: str
    value: str
    note: str = ""
    sign: str = ""
    mono: bool = False
    href: str = ""
