"""One site's identities out of what travels: addresses, networks, hosts and names replaced, the same one always alike."""

from __future__ import annotations

import re
from collections.abc import Iterable

from shared.agent import AgentSpec
from shared.events import EventParser
from shared.feature_table import FeatureTable
from shared.values import Row

_MAC = re.compile(r"(?<![0-9A-Za-z:-])[0-9A-Za-z*]{2}(?:[:-][0-9A-Za-z*]{2}){5}(?![0-9A-Za-z:-])", re.ASCII)
_IPV4 = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])")
_IPV6 = re.compile(r"(?<![\w:])(?:[0-9A-Fa-f]{1,4}:){2,7}[0-9A-Fa-f:]{1,39}(?![\w:])")
_SESSION = re.compile(r"\b[0-9A-F]{16}\b")
_QUOTED = re.compile(r"'[^']*'|\"(?:[^\"\\]|\\.)*\"")
NAMED_FIELDS = ("ssid", "identity", "name", "node", "user", "ip")  # fields whose text names something of the site
ADDRESSES = frozenset({"mac", "bssid"})  # are replaced as addresses, wherever they stand
KEPT_WORDS = frozenset({"", "-"})


class Pseudonyms:
    """Replaces identities in rows. Equal identities get equal stand-ins, numbered in the order they are met."""

    def __init__(self, spec: AgentSpec) -> None:
        self._parser = EventParser(spec)
        self._named = (*NAMED_FIELDS, *sorted(_keys(spec) - ADDRESSES - set(NAMED_FIELDS)))
        self._stand_in = re.compile(rf"(?:{'|'.join(self._named)})-\d+")
        self._names: dict[tuple[str, str], int] = {}

    def number(self, kind: str, identity: str) -> int:
        """The number of an identity among those of its kind."""
        return self._names.setdefault((kind, identity), sum(1 for known, _ in self._names if known == kind) + 1)

    def host(self, name: str) -> str:
        """`host-1`, `host-2`, …"""
        return f"host-{self.number('host', name)}"

    def row(self, row: Row) -> Row:
        """The row with its host and message pseudonymised; times and programs stay."""
        id_, time, host, program, _, severity, message = row
        return id_, time, self.host(host), program, "", severity, self.message(program, severity, message)

    def message(self, program: str, severity: int, message: str) -> str:
        """The message without identities: fields that name something, all quoted text, addresses, session numbers."""
        fields = self._parser.parse(program, severity, message).fields
        for name in self._named:
            text = fields.get(name)
            if text and text not in KEPT_WORDS:
                message = message.replace(text, f"{name}-{self.number(name, text)}")
        message = _QUOTED.sub(self._quoted, message)
        message = _MAC.sub(self._mac, message)
        message = _SESSION.sub(lambda match: f"{self.number('session', match[0]):016X}", message)
        message = _IPV4.sub(lambda match: f"192.0.2.{self.number('ip4', match[0]) % 254 + 1}", message)
        return _IPV6.sub(self._ipv6, message)

    def messages(self, texts: Iterable[str]) -> list[str]:
        """Several messages of unknown form."""
        return [self.message("", -1, text) for text in texts]

    def _quoted(self, match: re.Match[str]) -> str:
        inner = match[0][1:-1]
        if not inner or self._stand_in.fullmatch(inner):
            return match[0]
        return f"{match[0][0]}text-{self.number('text', inner)}{match[0][0]}"

    def _mac(self, match: re.Match[str]) -> str:
        text = match[0]
        if text in ("00:00:00:00:00:00", "01:80:c2:00:00:03") or not re.search(r"[0-9A-Fa-f]{2}", text):
            return text
        number = self.number("mac", text.lower().replace("-", ":"))
        return f"02:00:00:{number >> 16 & 255:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"

    def _ipv6(self, match: re.Match[str]) -> str:
        if _MAC.fullmatch(match[0]) or (match[0].count(":") == 5 and len(match[0]) == 17):
            return match[0]
        return f"2001:db8::{self.number('ip6', match[0]):x}"


def _keys(spec: AgentSpec) -> set[str]:
    """The fields by which an agent tells people and devices apart; fixed words of the agent file name nobody."""
    fixed = {name for event in spec.events for words in event.sets for name in words}
    return {*FeatureTable(spec).by, *([spec.silence.key] if spec.silence else [])} - fixed
