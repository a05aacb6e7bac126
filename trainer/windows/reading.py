"""An export read on every core: each process reads all rows and makes windows of its share of the hosts.

A `Team` (`trainer/cluster/team.py`) takes shares on other machines besides; what all of them found is settled here.
"""

from __future__ import annotations

import os
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Protocol

from shared.agent import AgentSpec
from shared.values import Row
from trainer.helper import Helper as Process
from trainer.labels import Faults
from trainer.windows.gather import Gathered, gather, settle
from trainer.windows.learn import Learner
from trainer.windows.source import Source
from trainer.windows.table import Tables

LARGE_BYTES = 24 << 20  # from here on a second process pays for its start
MOST_PROCESSES = 4  # each reads every row, so more would only read
WHAT = "reads the export"
SAMPLE_ROWS = 20_000  # the first rows tell how much each host writes


@dataclass(frozen=True)
class Share:
    """The hosts that one of several processes takes; those that the sample did not show are dealt by their name."""

    number: int
    of: int
    hosts: Mapping[str, int]

    def has(self, host: str) -> bool:
        """Whether it takes this host."""
        return self.hosts.get(host, zlib.crc32(host.encode("utf-8", "replace")) % self.of) == self.number


@dataclass(frozen=True)
class Task:
    """What every process gets."""

    spec: AgentSpec
    salt: str
    exclude: tuple[str, ...]
    faults: Faults | None


class Helper(Protocol):
    """Somebody who reads one share."""

    def result(self) -> Gathered:
        """What it found. Raises what it raised, or TrainingError: it was ended."""
        ...

    def end(self) -> None:
        """End it where it still runs."""
        ...


class Team(Protocol):
    """Processes on other machines that take shares."""

    def size(self) -> int:
        """How many shares it takes now. Raises TrainingError: it cannot be reached, or nobody in it is of use."""
        ...

    def begin(self, source: Source, task: Task, shares: Sequence[Share], told: Callable[[], None]) -> Sequence[Helper]:
        """Have the shares read, by one helper each. told: is called now and then while one waits for a result."""
        ...

    def done(self) -> float:
        """How much of its shares is read, 0 to 1. Raises TrainingError: they will not be."""
        ...


def read(
    source: Source,
    spec: AgentSpec,
    salt: str,
    exclude: Iterable[str] = (),
    faults: Faults | None = None,
    told: Callable[[float], None] = lambda share: None,
    team: Team | None = None,
) -> tuple[Learner, Tables]:
    """What the export teaches, and all its windows as arrays. told: is called with the share that was read, 0 to 1.

    Raises:
        ExportError: it cannot be read. TrainingError: a process that helps was ended.
    """
    task = Task(spec, salt, tuple(exclude), faults)
    processes, others = processes_for(source), team.size() if team else 0

    def both(here: float) -> None:
        away = others * team.done() if team and others else 0.0
        told((here * processes + away) / (processes + others))

    rows = source.rows(counting=True, told=both)
    parts = (
        _all_at_once(source, rows, task, processes, team, others, lambda: both(1.0))
        if processes + others > 1
        else [gather_all(rows, task)]
    )
    if source.sorted:  # only a whole reading finds out that rows are out of order
        parts = [gather_all(source.rows(), task)]
    return settle(parts, spec, exclude)


def gather_all(rows: Iterable[Row], task: Task, share: Share | None = None) -> Gathered:
    """What the rows give; those of a share's hosts alone."""
    mine = rows if share is None else _rows_of(rows, share)
    return gather(mine, task.spec, task.salt, task.exclude, task.faults)


def read_share(source: Source, task: Task, share: Share) -> Gathered:
    """What one process finds that reads the export anew."""
    return gather_all(source.rows(), task, share)


def processes_for(source: Source) -> int:
    """How many processes are worth their start. In an export that has to be sorted: this one alone, for its memory."""
    if source.sorted:
        return 1
    size = sum(path.stat().st_size * (8 if path.suffix == ".gz" else 1) for path in source.paths if path.is_file())
    return min(len(os.sched_getaffinity(0)), MOST_PROCESSES) if size >= LARGE_BYTES else 1


def _all_at_once(
    source: Source, rows: Iterable[Row], task: Task, processes: int, team: Team | None, others: int,
    told: Callable[[], None],
) -> list[Gathered]:  # fmt: skip
    """This process takes the first share of the rows, helpers the others: processes here, then those of the team."""
    hosts = _dealt(source, processes + others)
    first, *shares = (Share(number, processes + others, hosts) for number in range(processes + others))
    helpers: list[Helper] = []
    try:
        helpers.extend(Process(partial(read_share, source, task, share), WHAT) for share in shares[: processes - 1])
        if team is not None:
            helpers.extend(team.begin(source, task, shares[processes - 1 :], told))
        own = gather_all(rows, task, first)
        return [own, *(helper.result() for helper in helpers)]
    finally:
        for helper in helpers:
            helper.end()


def _dealt(source: Source, processes: int) -> dict[str, int]:
    """Host → share: the busiest first, each to the share that has least to do."""
    counts = Counter(row[2] for row in islice(source.rows(), SAMPLE_ROWS))
    load = [0] * processes
    dealt = {}
    for host, rows in counts.most_common():
        dealt[host] = load.index(min(load))
        load[dealt[host]] += rows
    return dealt


def _rows_of(rows: Iterable[Row], share: Share) -> Iterator[Row]:
    mine: dict[str, bool] = {}
    for row in rows:
        host = row[2]
        wanted = mine.get(host)
        if wanted is None:
            wanted = mine[host] = share.has(host)
        if wanted:
            yield row
