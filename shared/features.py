"""Rows to windows: the one FeatureExtractor of both services, for a file and for a stream.

Each host's rows fall into tumbling panes of `window_s` seconds, aligned to the epoch. When a pane closes it becomes a
`Window`: its features over the pane itself (short view) and over the trailing `long_windows` panes (long view). Only
open panes and the last half hour of summaries are in memory, however long the export.

    panes   host ▸ span ▸ {message: count}        add(row): about 1 µs
    window  short view + long view ▸ two vectors  close(until)
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from shared.agent import UNKNOWN, AgentSpec
from shared.events import EventParser
from shared.formula import FormulaError
from shared.panes import MAX_CELLS, MAX_ORDERED, MAX_SAMPLES, Cell, Pane, View
from shared.reference import NOTHING_KNOWN, Known
from shared.rules import names_in_rules
from shared.values import Line, Row
from shared.vocabulary import Formula, Lexicon, compile_formula

CACHE_SIZE = 20_000  # different messages whose parse is remembered
ANY_ROLE = "any"  # the role of hosts of an agent that tells none apart
SKIP, AGAIN = -2, -1  # slots of rows that are not counted, and of "last message repeated"
MAX_REPEAT = 10_000  # "repeated N times" is believed up to here

_Plan = tuple[list[float], list[tuple[int, Formula]], list[float], list[int], list[tuple[int, Formula]]]


@dataclass(frozen=True, slots=True)
class Window:
    """One host's rows of one span [start, end) as numbers. `short` and `long` follow `FeatureTable.names`."""

    host: str
    start: float
    end: float
    role: str
    rows: int
    short: tuple[float, ...]
    long: tuple[float, ...]
    panes: int  # how many panes the long view could look at
    sampled: bool
    samples: tuple[Line, ...]
    first: float  # time of the first and the last row
    last: float
    present: Mapping[str, float]  # device -> when it was last seen to be there, -inf where it was seen to leave


class FeatureTable:
    """An agent's features compiled once, and which of them a pane with given events has to compute."""

    def __init__(self, spec: AgentSpec) -> None:
        self.spec = spec
        self.lexicon = Lexicon([event.name for event in spec.events])
        self.names = tuple(feature.name for feature in spec.features)
        self.formulas = tuple(self._compile(feature.name, feature.formula) for feature in spec.features)
        self.roles = spec.role_names or (ANY_ROLE,)
        silence = (*spec.silence.joined, *spec.silence.left) if spec.silence else ()
        self.ordered = frozenset(reference.partition(".")[0] for reference in silence).union(
            *(formula.ordered for formula in self.formulas)
        )
        self.by = tuple(sorted(frozenset().union(*(formula.by for formula in self.formulas))))
        self._masks = [self._mask(formula) for formula in self.formulas]
        used = names_in_rules(spec)
        self._long = {i for i, feature in enumerate(spec.features) if feature.scored or feature.name in used}
        self.reordered = [self.names[i] for i in sorted(self._long) if self.formulas[i].needs_order]
        self._absent = {
            role: [i for i, feature in enumerate(spec.features) if feature.role not in ("any", role)]
            for role in self.roles
        }
        self._plans: dict[int, _Plan] = {}

    def watch(self) -> tuple[str, list[list[int]], list[list[int]]] | None:
        """(key field, slots of joining, slots of leaving) of the agent's `silence` section."""
        silence = self.spec.silence
        if silence is None:
            return None
        joined, left = ([self.lexicon.slots(name) for name in names] for names in (silence.joined, silence.left))
        return silence.key, joined, left

    def _compile(self, name: str, text: str) -> Formula:
        try:
            return compile_formula(text, self.lexicon)
        except FormulaError as error:
            raise FormulaError(f"feature {name}: {error}") from None

    def _mask(self, formula: Formula) -> int:
        return -1 if formula.events is None else sum(self.lexicon.bits[event] for event in formula.events)

    def _plan(self, mask: int) -> _Plan:
        """(values where nothing happens, formulas to evaluate) for a pane; the same for the trailing view."""
        plan = self._plans.get(mask)
        if plan is None:
            empty = [formula.empty for formula in self.formulas]
            active = [i for i, need in enumerate(self._masks) if need == -1 or need & mask]
            short = [(i, self.formulas[i]) for i in active]
            added = [i for i in active if i in self._long and self.formulas[i].additive]
            merged = [(i, self.formulas[i]) for i in active if i in self._long and not self.formulas[i].additive]
            if len(self._plans) > 4096:
                self._plans.clear()
            plan = self._plans[mask] = (empty, short, empty, added, merged)
        return plan

    def short(self, view: View) -> list[float]:
        """Every feature over one pane, roles not yet told apart; NaN where it cannot be known."""
        empty, active, _, _, _ = self._plan(view.last.mask)
        values = empty.copy()
        for i, formula in active:
            values[i] = formula.evaluate(view)
        return values

    def long(self, view: View) -> list[float]:
        """Scored features and those of rules over all panes of the view: sums where exact, else from merged counts."""
        if len(view.panes) == 1:
            values = view.last.values.copy()
            for i, formula in self._plan(view.last.mask)[4]:
                if formula.spans:
                    values[i] = formula.evaluate(view)
            return values
        mask = 0
        for pane in view.panes:
            mask |= pane.mask
        _, _, empty, added, merged = self._plan(mask)
        values = empty.copy()
        panes = [pane.values for pane in view.panes]
        for i in added:
            values[i] = sum(pane[i] for pane in panes)
        for i, formula in merged:
            values[i] = formula.evaluate(view)
        return values

    def of_role(self, values: list[float], role: str) -> tuple[float, ...]:
        """The values with the other roles' features missing."""
        for i in self._absent[role]:
            values[i] = math.nan
        return tuple(values)


class _Host:
    """The open panes of one host, and the closed ones that the trailing view still needs."""

    __slots__ = ("last_cell", "open", "past")

    def __init__(self) -> None:
        self.open: dict[int, Pane] = {}
        self.past: list[tuple[int, Pane]] = []
        self.last_cell: Cell | None = None


class FeatureExtractor:
    """Rows in, closed windows out, in one pass.

    Args:
        spec: the agent whose events and features are used.
        known: what training knows (addresses, networks, usual counts); without it nothing counts as unseen.

    `add` takes rows in any order; a row of a pane that is already closed is counted in `late` and changes nothing.
    """

    def __init__(self, spec: AgentSpec, known: Known = NOTHING_KNOWN) -> None:
        self.spec, self.known = spec, known
        self.table = FeatureTable(spec)
        self.parser = EventParser(spec)
        self.late = 0
        self.rows = 0
        self.closed_until = -math.inf
        self._span = spec.window_s
        self._hosts: dict[str, _Host] = {}
        self._cells: dict[tuple[str, int, str], Cell] = {}
        self._bare: dict[tuple[int, str, int], Cell] = {}
        self._role_of = {program: index for index, role in enumerate(spec.roles) for program in role.programs}
        self._zone = ZoneInfo(spec.timezone)
        self._watch = self.table.watch()

    def add(self, row: Row) -> None:
        """Fold one row into its pane."""
        _, time, name, program, _, severity, message = row
        key = (program, severity, message)
        cell = self._cells.get(key)
        if cell is None:
            cell = self._parse(key)
        if cell.slot == SKIP:
            return
        host = self._hosts.get(name)
        if host is None:
            host = self._hosts[name] = _Host()
        self.rows += 1
        weight = cell.repeat
        if cell.again:
            if host.last_cell is None:
                return
            weight, cell = cell.again, host.last_cell
        host.last_cell = cell
        index = int(time // self._span)
        pane = host.open.get(index)
        if pane is None:
            if (index + 1) * self._span <= self.closed_until:
                self.late += 1
                return
            pane = host.open[index] = Pane(index * self._span, (index + 1) * self._span, time)
        pane.rows += weight
        gap = time - pane.last
        if gap > pane.gap:
            pane.gap = gap
        pane.last = time
        cells = pane.cells
        count = cells.get(cell)
        if count is None:
            cell = self._remember(pane, cell, time, message)
            count = cells.get(cell, 0)
        cells[cell] = count + weight
        if cell.ordered and len(pane.ordered) < MAX_ORDERED:
            pane.ordered.append((time, cell))

    def _parse(self, key: tuple[str, int, str]) -> Cell:
        program, severity, message = key
        parsed = self.parser.parse(program, severity, message)
        fields = parsed.fields
        if parsed.again:
            slot = AGAIN
        elif parsed.event == UNKNOWN and self._role_of and program not in self._role_of:
            slot = SKIP  # what the kernel says of other things is no WiFi line of unknown form
        else:
            slot = self.table.lexicon.slot(parsed.event, fields.get("kind", ""))
        cell = Cell(
            slot,
            parsed.event,
            self.table.lexicon.bits.get(parsed.event, 0),
            fields,
            self._role_of.get(program, len(self.table.roles)),
            program,
            severity,
            parsed.event in self.table.ordered,
            min(parsed.repeat, MAX_REPEAT),
            min(parsed.again, MAX_REPEAT),
        )
        if len(self._cells) >= CACHE_SIZE:
            self._cells.clear()
        self._cells[key] = cell
        return cell

    def _remember(self, pane: Pane, cell: Cell, time: float, message: str) -> Cell:
        """A message that the pane has not seen: kept as a sample, or counted for its event only once there are too many."""
        if len(pane.samples) < MAX_SAMPLES:
            pane.samples.append((time, cell, message))
        if len(pane.cells) < MAX_CELLS:
            return cell
        pane.sampled = True
        key = (cell.slot, cell.program, cell.severity)
        bare = self._bare.get(key)
        if bare is None:
            bare = self._bare[key] = Cell(
                cell.slot, cell.event, cell.mask, {}, cell.role, cell.program, cell.severity, cell.ordered
            )
        return bare

    def close(self, until: float) -> list[Window]:
        """Close every pane whose end is ≤ `until` (s), in the order of (start, host)."""
        due = sorted(
            (index, name)
            for name, host in self._hosts.items()
            for index in host.open
            if (index + 1) * self._span <= until
        )
        self.closed_until = max(self.closed_until, until)
        return [self._close(name, index) for index, name in due]

    def _close(self, name: str, index: int) -> Window:
        host = self._hosts[name]
        pane = host.open.pop(index)
        pane.seal(self.table.by, len(self.table.roles) + 1)
        oldest = index - self.spec.long_windows
        host.past = [(i, past) for i, past in host.past if oldest < i < index]
        host.past.append((index, pane))
        panes = [past for _, past in host.past]
        start = (oldest + 1) * self._span
        pane.values = self.table.short(View([pane], pane.start, name, self.known, self._zone))
        long = self.table.long(View(panes, start, name, self.known, self._zone))
        role = self._role(panes)
        present = self._presence(pane)
        pane.ordered = []
        return Window(
            name,
            pane.start,
            pane.end,
            role,
            pane.rows,
            self.table.of_role(pane.values.copy(), role),
            self.table.of_role(long, role),
            len(panes),
            pane.sampled,
            tuple(Line(time, cell.program, message) for time, cell, message in pane.samples),
            pane.first,
            pane.last,
            present,
        )

    def _presence(self, pane: Pane) -> dict[str, float]:
        """Who was seen to be there, or to leave, by the events of the agent's `silence` section."""
        if self._watch is None:
            return {}
        key, joined, left = self._watch
        found: dict[str, float] = {}
        for time, cell in pane.ordered:
            who = cell.fields.get(key)
            if who is None:
                continue
            if any(cell.slot in slots for slots in joined):
                found[who] = time
            elif any(cell.slot in slots for slots in left):
                found[who] = -math.inf
        return found

    def _role(self, panes: list[Pane]) -> str:
        """The role that wrote most of the half hour's rows; the first of the agent's roles wins a tie."""
        totals = [sum(pane.roles[i] for pane in panes) for i in range(len(self.table.roles))]
        return self.table.roles[totals.index(max(totals))]

    def open_since(self) -> float:
        """Start of the oldest open pane, or +inf."""
        return min((index * self._span for host in self._hosts.values() for index in host.open), default=math.inf)

    def forget(self, before: float) -> None:
        """Drop hosts that have had no pane since `before` (s): their trailing view is empty by now."""
        gone = [n for n, h in self._hosts.items() if not h.open and (not h.past or h.past[-1][1].end <= before)]
        for name in gone:
            del self._hosts[name]


def windows(rows: Iterable[Row], extractor: FeatureExtractor) -> Iterator[Window]:
    """All windows of a file's rows, closed on event time once the grace has passed, the last ones at the end."""
    span, grace = extractor.spec.window_s, extractor.spec.grace_s
    due = -math.inf
    add = extractor.add
    for row in rows:
        if row[1] >= due:
            if due > -math.inf:
                yield from extractor.close((row[1] - grace) // span * span)
            due = ((row[1] - grace) // span + 1) * span + grace
        add(row)
    yield from extractor.close(math.inf)
