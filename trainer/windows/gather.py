"""One pass over an export: what a bundle has to know, and every window as a row of numbers.

Features that compare with what is known (`excess`, `marked`) can be told only once all rows were seen. Till then such a
value is minus the number of a question, and `_settle` puts the answers in; no other value of these features is negative.

    rows ──▶ windows ──▶ tables, with questions in them ──▶ tables
      └────▶ learner ──▶ known ──▶ answers ─────────────────▲

A large export is read by several processes at once (`trainer/windows/reading.py`), each for some of the hosts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from shared.agent import UNKNOWN, AgentSpec
from shared.features import SKIP, FeatureExtractor
from shared.panes import Cell
from shared.reference import Known
from shared.values import Row
from trainer.labels import Faults
from trainer.windows.learn import Learner
from trainer.windows.table import Floats, Floats32, Tables, collect, joined, scored_columns

CACHE_SIZE = 10_000  # half of the usual: 4 % slower, 10 MB less in every process

Question = tuple[str, Mapping[str, int]]  # (host, interface → rows), or ("", device → count)


@dataclass
class Gathered:
    """What some of the hosts' rows gave; `questions` are those that their tables hold."""

    learner: Learner
    tables: Tables
    questions: list[Question]


def gather(
    rows: Iterable[Row], spec: AgentSpec, salt: str, exclude: Iterable[str] = (), faults: Faults | None = None
) -> Gathered:
    """Learn from rows of any program in time order and extract every window; known faults are not taken for normal."""
    learner = Learner(spec, salt)
    extractor = _LearningExtractor(spec, learner, faults)
    tables = collect(_own(rows, learner), extractor, exclude, faults)
    return Gathered(learner, tables, extractor.questions.asked)


def settle(parts: Sequence[Gathered], spec: AgentSpec, exclude: Iterable[str] = ()) -> tuple[Learner, Tables]:
    """Parts of one log as one, with every question answered by what all of them taught. `parts` are used up."""
    learner = parts[0].learner
    for part in parts[1:]:
        learner.merge(part.learner)
    known = learner.known()
    for part in parts:
        _answer(part.tables, [_answered(question, known) for question in part.questions], spec, exclude)
    return learner, joined([part.tables for part in parts])


def _own(rows: Iterable[Row], learner: Learner) -> Iterator[Row]:
    """The rows of the agent's programs; all are counted."""
    programs, others = frozenset(learner.spec.programs), 0
    number, first, newest = 0, math.inf, -math.inf
    for number, row in enumerate(rows, 1):  # noqa: B007
        if row[3] in programs:
            time = row[1]
            if time > newest:
                newest = time
            if time < first:
                first = time
            yield row
        else:
            others += 1
    learner.rows, learner.own_rows = number, number - others
    learner.first, learner.last = first, newest


class _LearningExtractor(FeatureExtractor):
    """Shows the learner each row that it reads."""

    def __init__(self, spec: AgentSpec, learner: Learner, faults: Faults | None) -> None:
        self.questions = _Questions(learner)
        super().__init__(spec, self.questions, CACHE_SIZE)
        self._learner, self._faults = learner, faults
        self._wanted = learner.wanted | {SKIP, *self.table.lexicon.slots(UNKNOWN)}

    def add(self, row: Row) -> Cell:
        cell = super().add(row)
        if cell.slot in self._wanted:
            if cell.event == UNKNOWN:
                self._learner.not_understood(row[6])
            elif self._faults is None or not self._faults(row[2], row[1]):
                self._learner.learn(row[1], row[2], cell)
        return cell


class _Questions:
    """Stands for what is known while it is still being learnt: gives minus a question's number instead of an answer."""

    def __init__(self, learner: Learner) -> None:
        self.asked: list[Question] = []
        self.unseen, self.met = learner.unseen, learner.met  # a window's own rows are learnt by the time it is asked

    def excess(self, many: Mapping[str, int]) -> float:
        self.asked.append(("", many))
        return -float(len(self.asked))

    def on_marked(self, host: str, rows: Mapping[str, int]) -> float:
        self.asked.append((host, rows))
        return -float(len(self.asked))


def _answered(question: Question, known: Known) -> float:
    host, counts = question
    return known.on_marked(host, counts) if host else known.excess(counts)


def _answer(tables: Tables, answers: list[float], spec: AgentSpec, exclude: Iterable[str]) -> None:
    if not answers:
        return
    found = np.array(answers)
    asking = [i for i, feature in enumerate(spec.features) if feature.formula.startswith(("excess(", "marked("))]
    for role, table in tables.roles.items():
        scored = scored_columns(spec, role, exclude)
        for i in asking:
            _put(table.short, i, found)
            if i in scored:
                _put(table.raw, scored.index(i), found)
                _put(table.raw, scored.index(i) + len(scored), found)


def _put(values: Floats32, column: int, answers: Floats) -> None:
    open_ = values[:, column] < 0
    values[open_, column] = answers[(-values[open_, column]).astype(np.intp) - 1]
