"""One form for hardware addresses, so that one device is one key however its lines are written.

Logs print them in upper or lower case, with colons or dashes, and people mask parts of them. Two addresses are no device:
all zeros ("not known") and the one of wired 802.1X.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

ADDRESS = re.compile(r"[0-9A-Za-z*]{2}([:-])[0-9A-Za-z*]{2}(?:\1[0-9A-Za-z*]{2}){4}")
NOBODY = frozenset({"00:00:00:00:00:00", "01:80:c2:00:00:03", "ff:ff:ff:ff:ff:ff"})


def device(text: str) -> str | None:
    """The address in lower case with colons; None where it is empty or names nobody. Other text stays as it is.

    >>> device("B8-27-EB-3C-27-CB")
    'b8:27:eb:3c:27:cb'
    """
    if len(text) != 17 or not ADDRESS.fullmatch(text):
        return text or None
    address = text.lower().replace("-", ":")
    return None if address in NOBODY else address


def folded(fields: Mapping[str, str]) -> Mapping[str, str]:
    """An event's fields with its addresses in one form; those that name nobody are left out."""
    found: dict[str, str] | None = None
    for name in ("mac", "bssid"):
        text = fields.get(name)
        if text is None:
            continue
        address = device(text)
        if address != text:
            found = dict(fields) if found is None else found
            if address is None:
                del found[name]
            else:
                found[name] = address
    return fields if found is None else found
