"""An agent's events and their kinds as small numbers, called slots: what counts are kept by and formulas refer to."""

from __future__ import annotations

from shared.agent import AgentSpec
from shared.formulas.formula import FormulaError

Groups = tuple[tuple[int, ...], ...]  # the slots meant by each of a call's events


class Lexicon:
    """An agent's events and their kinds as small numbers (slots)."""

    def __init__(self, spec: AgentSpec) -> None:
        self.events = spec.event_names
        self.bits = {event: 1 << index for index, event in enumerate(self.events)}
        self._slots: dict[tuple[str, str], int] = {}
        self._of_event: dict[str, tuple[int, ...]] = {}
        kinds = {event.name: sorted({"", *(fixed.get("kind", "") for fixed in event.sets)}) for event in spec.events}
        for event in self.events:
            for kind in kinds.get(event, [""]):
                self._slots[event, kind] = len(self._slots)
                self._of_event[event] = (*self._of_event.get(event, ()), self._slots[event, kind])

    @property
    def size(self) -> int:
        """How many slots there are."""
        return len(self._slots)

    def slot(self, event: str, kind: str) -> int:
        """The slot of an event's kind ("" for none)."""
        return self._slots[event, kind]

    def slots(self, reference: str) -> tuple[int, ...]:
        """Slots meant by `event` (all its kinds) or by `event.kind`."""
        event, _, kind = reference.partition(".")
        if event not in self.bits:
            raise FormulaError(f"no event is called {event!r}; there are {', '.join(self.events)}")
        if kind and (event, kind) not in self._slots:
            raise FormulaError(f"event {event} has no kind {kind!r}")
        return (self._slots[event, kind],) if kind else self._of_event[event]
