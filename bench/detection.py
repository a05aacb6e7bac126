"""`make bench-detection`: what is found, beside what simpler detectors find, and under stress.

    python -m bench.detection [CORPUS] [--seeds 3] [--part peers|parts|groups|types|stress|budget]…

CORPUS is a folder with train_benign.csv.gz, eval*.csv.gz and episodes*.json; else PIPIT_CORPUS, else ../shared/corpus/dev
beside this checkout, else the examples. Everything is measured in incidents: runs of anomalous windows of one host.
"""

from __future__ import annotations

import math
import os
import re
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from bench.detection_data import ROOT, Corpus, Found, Rows, fit, incidents, load_corpus, run
from bench.detection_peers import PEERS, run_peer, tabulate
from bench.detection_stress import CASES, DAY_S, POISON, poisoned
from shared.agent import AgentSpec, builtin_agents, parse_agent
from shared.judge import Judge, replay
from shared.model import load_model
from trainer.model_config import TrainConfig, load_model_config

PARTS = ("peers", "parts", "groups", "types", "stress", "budget")
WIFI = builtin_agents()["wifi"]
GROUPS = {
    "lines and shapes": "lines top_event unknown_lines",
    "joins": "authentications joins most_joins unusual_joins rejoins unfinished_joins connects join_attempts",
    "failures": "unacknowledged refused_joins psk_attempts eap_attempts wrong_keys backoffs avoided timeouts",
    "leaving": "disassociations kicks forced_disconnects local_disconnects beacon_losses rekey_failures",
    "starts": "starts restarts daemon_starts scan_failures",
    "twins and copies": "new_ap_attempts replays twin_signs certificate_errors",
}
HEADS = (
    "", "visible found [95 %]", "silences", "false (a host-week)", "F1 / flag-all's", "named", "incidents right", "delay", "took",
)  # fmt: skip
Line = tuple[str, Found, float]


def config(seed: int = 42) -> TrainConfig:
    """The default recipe with a seed, without the evaluation that training does for its own report."""
    base = load_model_config()
    return replace(
        base, model=replace(base.model, random_state=seed), evaluation=replace(base.evaluation, inject=False)
    )


def without(spec: AgentSpec, *sections: str, rules_of: str = "") -> AgentSpec:
    """The agent without some sections of its file, or without the rules and hints that say one type."""
    text = spec.raw.decode()
    for section in sections:
        text = re.sub(rf"(?ms)^{section}:\n.*?(?=^[a-z_]+:|\Z)", "", text)
    if rules_of:
        text = re.sub(rf"(?m)^  - id: .*\n(?:    .*\n)*?    type: {rules_of}\n(?:    .*\n)*", "", text)
        text = re.sub(rf"(?m)^  - id: {rules_of}\n(?:    .*\n)*", "", text)
        text = text.replace(f", hint: {rules_of}}}", "}").replace(f"hint: {rules_of}}}", "}")
        text = re.sub(r"(?ms)^explains:\n.*\Z", "", text)
    return parse_agent(text.encode(), "the changed agent")


class Bench:
    """A corpus and a folder to train in."""

    def __init__(self, corpus: Corpus, folder: Path, seeds: int) -> None:
        self.corpus, self.folder, self.seeds = corpus, folder, seeds

    def ours(
        self, spec: AgentSpec = WIFI, seed: int = 42, exclude: tuple[str, ...] = (), rows: Rows | None = None
    ) -> dict[str, bytes]:
        """A bundle of ours."""
        recipe = config(seed)
        recipe = replace(recipe, features=replace(recipe.features, exclude=exclude))
        return fit(rows or self.corpus.calm, spec, self.folder, recipe)

    def peers(self) -> Iterator[Line]:
        """Simple detectors on the same windows, then ours, over several seeds."""
        calm = tabulate(self.corpus.calm, WIFI)
        logs = [(log, tabulate(log.rows, WIFI)) for log in self.corpus.evaluations]
        for name, which, make in PEERS:
            for seed in range(self.seeds if "forest" in name else 1):
                began = time.monotonic()
                yield (
                    f"{name}{f' ({seed})' if 'forest' in name else ''}",
                    run_peer(which, make, calm, logs, seed),
                    began,
                )
        for seed in range(self.seeds):
            began = time.monotonic()
            yield f"ours ({seed})", run(self.ours(seed=seed), self.corpus.evaluations), began

    def found(self, *given: Any, **named: Any) -> Found:
        """What a bundle made with these arguments of `ours` finds."""
        return run(self.ours(*given, **named), self.corpus.evaluations)

    def parts(self) -> Iterator[Line]:
        """Ours with parts left out."""
        whole, began = self.ours(), time.monotonic()
        yield "ours", run(whole, self.corpus.evaluations), began
        cases = {
            "without rules": ("rules", "explains"),
            "without neighbours' causes": ("explains",),
            "without silence": ("silence",),
            "model alone": ("rules", "explains", "silence"),
        }
        for name, sections in cases.items():
            began = time.monotonic()
            yield name, self.found(without(WIFI, *sections)), began
        began, bare = time.monotonic(), self.ours(without(WIFI, "rules", "explains", "silence"))
        flat = re.sub(rb'"peak":\{[^}]*\}', b'"peak":{"offset":0,"factor":0}', bare["reference.json"])
        yield "forest alone", run({**bare, "reference.json": flat}, self.corpus.evaluations), began
        began = time.monotonic()
        yield "rules and silence alone", run(whole, self.corpus.evaluations, budget=1e-30), began
        began = time.monotonic()
        yield "generic agent (no patterns)", self.found(builtin_agents()["generic"]), began

    def groups(self) -> Iterator[Line]:
        """The model alone with groups of features left out."""
        bare = without(WIFI, "rules", "explains", "silence")
        for name, features in GROUPS.items():
            began = time.monotonic()
            yield f"model alone without {name}", self.found(bare, exclude=tuple(features.split())), began

    def types(self) -> Iterator[Line]:
        """Each type of attack with every rule and hint that names it taken out: found by what was made for others."""
        for kind in sorted({e.type for log in self.corpus.evaluations for e in log.episodes if e.visible == "yes"}):
            logs = [
                replace(log, episodes=tuple(e if e.type == kind else replace(e, visible="no") for e in log.episodes))
                for log in self.corpus.evaluations
            ]
            began = time.monotonic()
            yield f"rules of {kind} left out", run(self.ours(without(WIFI, rules_of=kind)), logs), began

    def stress(self) -> Iterator[Line]:
        """Other networks, platforms, clocks, histories; poisoned training."""
        for case in CASES:
            began, files = time.monotonic(), self.ours(rows=case.calm(self.corpus, self.corpus.calm))
            yield case.name, run(files, self.corpus.evaluations, partial(case.judged, self.corpus)), began
        if len(self.corpus.evaluations) > 1:
            began, total = time.monotonic(), Found()
            for source, seed in POISON:
                files = self.ours(rows=poisoned(source, seed)(self.corpus, self.corpus.calm))
                total = total.add(run(files, [self.corpus.evaluations[1 - source]]))
            yield f"5 % poison, {len(POISON)} runs", total, began

    def budget(self) -> Iterator[Line]:
        """The same model with other alert budgets."""
        files = self.ours()
        for budget in (0.05, 0.2, 0.5, 1.0, 2.0, 4.0, 8.0):
            began = time.monotonic()
            yield f"budget {budget:g} a host-week", run(files, self.corpus.evaluations, budget=budget), began
        began, held = time.monotonic(), list(held_back(self.corpus.calm))
        models = [(self.ours(rows=rest), day) for rest, day in held]
        for budget in (0.2, 0.5, 1.0, 2.0, 4.0, 8.0):
            weeks = len({row[2] for row in self.corpus.calm}) / 7  # a host that says nothing for a day is calm, too
            found = total(on_calm_day(files, day, budget, weeks) for files, day in models)
            yield f"budget {budget:g}, on calm days held back", found, began


def total(parts: Iterable[Found]) -> Found:
    """All of them together."""
    whole = Found()
    for part in parts:
        whole = whole.add(part)
    return whole


def held_back(calm: Rows) -> Iterator[tuple[Rows, Rows]]:
    """Each whole day (with the half hour before it), and the calm log without it, closed up so that no day is missing."""
    first = math.ceil(calm[0][1] / DAY_S) * DAY_S
    for start in range(int(first), int(calm[-1][1] - DAY_S / 2), int(DAY_S)):
        end = start + DAY_S
        rest = [
            row if row[1] < start else (row[0], row[1] - DAY_S, *row[2:]) for row in calm if not start <= row[1] < end
        ]
        yield rest, [row for row in calm if start - 1800 <= row[1] < end]


def on_calm_day(files: dict[str, bytes], day: Rows, budget: float, host_weeks: float) -> Found:
    """What the model alone raises on a day without any attack: all of it false."""
    model = load_model({name: data for name, data in files.items() if name != "model.joblib"})
    raised = [one for one in incidents(replay(day, Judge(model, budget))) if "model" in one.found_by]
    return Found(false=len(raised), host_weeks=host_weeks)


def interval(hits: int, of: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share.

    >>> [round(edge, 2) for edge in interval(42, 42)]
    [0.92, 1.0]
    """
    if not of:
        return 0.0, 1.0
    z, share = 1.96, hits / of
    middle, half = share + z * z / (2 * of), z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    return (middle - half) / (1 + z * z / of), (middle + half) / (1 + z * z / of)


def cells(name: str, found: Found, all_f1: float, began: float) -> list[str]:
    """A row of the table."""
    low, high = interval(found.found, found.visible)
    delays = sorted(found.delays)
    return [
        name,
        f"{found.found}/{found.visible} [{low:.2f}, {high:.2f}]",
        f"{found.silences_found}/{found.silences}",
        f"{found.false} ({found.false / max(found.host_weeks, 1e-9):.2f})",
        f"{found.f1:.2f} / {all_f1:.2f}",
        f"{found.named}/{found.found + found.silences_found}",
        f"{found.said_right}/{found.said}",
        f"{delays[len(delays) // 2]:.0f} s" if delays else "-",
        f"{time.monotonic() - began:.0f} s",
    ]


@click.command()
@click.argument("corpus", required=False, type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--seeds", default=3, show_default=True, type=click.IntRange(1, 50), help="Seeds of ours and the forests."
)
@click.option("--part", "parts", multiple=True, type=click.Choice(PARTS), help="Only these tables.")
def main(corpus: Path | None, seeds: int, parts: tuple[str, ...]) -> None:
    """Measure detection; flag-all's F1 stands beside every F1."""
    beside = ROOT.parent / "shared" / "corpus" / "dev"
    found = load_corpus(corpus or Path(os.environ.get("PIPIT_CORPUS") or beside))
    console = Console(width=190)
    calm = tabulate(found.calm, WIFI)
    everything = run_peer(*PEERS[0][1:], calm, [(log, tabulate(log.rows, WIFI)) for log in found.evaluations], 0).f1
    console.print(f"corpus {found.name}: {len(found.calm):,} calm rows, {len(found.evaluations)} logs with episodes")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(found, Path(folder), seeds)
        for part in parts or PARTS:
            table = Table(title=f"{part}: {(getattr(bench, part).__doc__ or '').splitlines()[0]}", title_justify="left")
            for head in HEADS:
                table.add_column(head, no_wrap=True)
            for name, result, began in getattr(bench, part)():
                table.add_row(*cells(name, result, everything, began))
            console.print(table)


if __name__ == "__main__":
    main()
