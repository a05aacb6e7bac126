"""Message → event: which class a line belongs to, and its fields.

One RE2 set of all the agent's patterns says which match; the first in the file wins, and only the winner's fields are
read, with the standard `re`. Linear time whatever the text, so a network name cannot stall it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import re2

from shared.agent import UNKNOWN, AgentSpec

REPEAT = "repeat"  # the event of "last message repeated N times"; `again` is N
MAX_MESSAGE = 4096  # characters looked at
CACHE_SIZE = 20_000
_NOTHING: Mapping[str, str] = {}
_REPEATED = re.compile(r"message repeated (\d{1,6}) times?: \[ ?(.*?)\]?\s*$", re.ASCII | re.DOTALL)
_AGAIN = re.compile(r"(?:-+ )?last message (?:repeated|buffered) (\d{1,6}) times?\b", re.ASCII)
_MAX_LEADERS = 6

_ADDRESS = r"\b[0-9A-Za-z*]{2}(?:[:-][0-9A-Za-z*]{2}){5}\b"
_QUOTED = r"\"(?:[^\"\\]|\\.)*\"|'[^']*'"
_SHAPE = re.compile(
    rf"(?P<a>{_ADDRESS})|(?P<q>{_QUOTED})|(?P<n>\b0x[0-9A-Fa-f]+\b|\b(?=[0-9A-Fa-f]*\d)[0-9A-Fa-f]{{8,}}\b|\d+)",
    re.ASCII,
)


class Parsed:
    """What a message says. Values are shared between equal messages: read them, do not change them."""

    __slots__ = ("event", "fields", "index", "message", "program", "severity")
    repeat = 1  # N of "message repeated N times: [ ... ]"
    again = 0  # N of "last message repeated N times"

    def __init__(
        self, event: str, index: int, fields: Mapping[str, str], severity: int, program: str, message: str
    ) -> None:
        self.event = event
        self.index = index
        self.fields = fields
        self.severity = severity
        self.program = program
        self.message = message

    @property
    def shape(self) -> str:
        """The message with addresses, quoted text and numbers replaced: what lines of one kind have in common."""
        return shape_of(self.message)


class Counted(Parsed):
    """A line of syslog's repeat compression. (A class of its own, so that the millions of others stay small.)"""

    __slots__ = ("again", "repeat")

    def __init__(self, parsed: Parsed, repeat: int = 1, again: int = 0) -> None:
        super().__init__(parsed.event, parsed.index, parsed.fields, parsed.severity, parsed.program, parsed.message)
        self.repeat = repeat
        self.again = again


def shape_of(message: str) -> str:
    """`wlan0: STA 02:00:00:00:00:01 associated (aid 3)` becomes `wlan#: STA <mac> associated (aid #)`."""
    return _SHAPE.sub(_replacement, message[:MAX_MESSAGE])[:300]


def _replacement(match: re.Match[str]) -> str:
    return {"a": "<mac>", "q": "<text>", "n": "#"}[match.lastgroup or "n"]


_Search = Callable[[str], "re.Match[str] | None"]
# event, its index, the winning pattern ("": it has no named group), its fixed fields
_Winner = tuple[str, int, str, Mapping[str, str]]


class EventParser:
    """Parses the messages of one agent; keeps the results of the last messages, since lines repeat (0: keeps none)."""

    def __init__(self, spec: AgentSpec, cache_size: int = CACHE_SIZE) -> None:
        self._cache_size = cache_size
        patterns = [
            (event, index, number) for index, event in enumerate(spec.events) for number in range(len(event.patterns))
        ]
        anchored = all(event.patterns[number].startswith("^") for event, _, number in patterns)
        # anchored at the start the automaton stops as soon as nothing can match any more
        self._set = re2.Set.MatchSet() if anchored else re2.Set.SearchSet()
        self._winners: list[_Winner] = []
        self._generic = tuple((name, re.compile(pattern, re.ASCII)) for name, pattern in spec.fields.items())
        self._leaders = tuple(re.compile(leader, re.ASCII) for leader in spec.leaders)
        for event, index, number in patterns:
            self._set.Add(event.patterns[number])
            named = event.patterns[number] if "(?P<" in event.patterns[number] else ""
            self._winners.append((event.name, index, named, event.sets[number] if event.sets else _NOTHING))
        self._searches: list[_Search | None] = [None] * len(patterns)  # compiled when first won: few ever are
        self._set.Compile()
        self._match = self._set.Match
        self._unknown = len(spec.events)
        self._cache: dict[tuple[str, int, str], Parsed] = {}

    def parse(self, program: str, severity: int, message: str) -> Parsed:
        """Which event this is. Never fails: a message that no pattern knows is `unknown`."""
        key = (program, severity, message)
        found = self._cache.get(key)
        if found is not None:
            return found
        parsed = self._parse(program, severity, message)
        if len(self._cache) >= self._cache_size:
            self._cache.clear()
        if self._cache_size:
            self._cache[key] = parsed
        return parsed

    def _parse(self, program: str, severity: int, message: str) -> Parsed:
        if len(message) > MAX_MESSAGE:
            message = message[:MAX_MESSAGE]
        hits = self._match(message.encode("utf-8", "replace"))
        if not hits:
            return self._second_look(program, severity, message)
        return self._won(hits[0] if len(hits) == 1 else min(hits), program, severity, message)

    def _won(self, winner: int, program: str, severity: int, message: str) -> Parsed:
        event, index, pattern, fixed = self._winners[winner]
        fields: dict[str, str] = {}
        if pattern:
            search = self._searches[winner]
            if search is None:
                search = self._searches[winner] = re.compile(pattern, re.ASCII).search
            match = search(message)
            if match:
                fields = match.groupdict()
                if None in fields.values():
                    fields = {name: value for name, value in fields.items() if value is not None}
        if fixed:
            fields.update(fixed)
        for name, generic in self._generic:
            if name not in fields:
                self._read_generic(name, generic, message, fields)
        return Parsed(event, index, fields, severity, program, message)

    @staticmethod
    def _read_generic(name: str, generic: re.Pattern[str], message: str, fields: dict[str, str]) -> None:
        match = generic.search(message)
        if match:
            value = match[match.lastindex] if match.lastindex else (match[0] if not generic.groups else None)
            if value is not None:
                fields[name] = value

    def _second_look(self, program: str, severity: int, message: str) -> Parsed:
        """Lines that nothing knows as they stand: what some platforms put before the line, and repeat counters.

        A counter counts at the start of what is left only: further on it is a name that somebody chose.
        """
        stripped = self._without_leaders(message)
        if stripped != message:
            hits = self._match(stripped.encode("utf-8", "replace"))
            if hits:
                return self._won(min(hits), program, severity, stripped)
        if " repeated " in stripped[:40]:
            again = _AGAIN.match(stripped)
            if again:
                return Counted(Parsed(REPEAT, self._unknown, _NOTHING, severity, program, message), again=int(again[1]))
            repeated = _REPEATED.match(stripped)
            if repeated:
                return Counted(self._parse(program, severity, repeated[2]), repeat=max(1, int(repeated[1])))
        fields: dict[str, str] = {}
        for name, generic in self._generic:
            self._read_generic(name, generic, message, fields)
        return Parsed(UNKNOWN, self._unknown, fields, severity, program, message)

    def _without_leaders(self, message: str) -> str:
        for _ in range(_MAX_LEADERS):
            before = message
            for leader in self._leaders:
                match = leader.match(message)
                if match and match.end():
                    message = message[match.end() :]
            if message == before:
                break
        return message
