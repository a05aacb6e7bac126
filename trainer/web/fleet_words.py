"""The fleet in the words of its page. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.web import words
from trainer.shipping import history
from trainer.shipping.history import Transfer
from trainer.targets import Target
from trainer.web.transfer_words import transfer_words

ASKED = {history.SHIP: "shipped", history.ROLLBACK: "rolled back to", history.CHALLENGE: "as challenger:"}
RANKS = {"high": 0, "mid": 1}
NAMED = 3  # more than so many are counted in the first line, not named


@dataclass(frozen=True, slots=True)
class TargetRow:
    """One Pi and one agent on it."""

    name: str
    address: str
    groups: str
    agent: str
    runs: str
    state: tuple[str, str, str]
    note: str
    last: str
    is_known: bool = True


def rows(
    targets: Mapping[str, Target],
    latest: Mapping[tuple[str, str], Transfer],
    serving: Mapping[tuple[str, str], str],
    now: float,
) -> list[TargetRow]:
    """The table: every known Pi, and those of the record that are not known (any more)."""
    names = [*targets, *sorted({name for name, _ in latest} - set(targets))]
    found = []
    for name in names:
        target = targets.get(name)
        address = target.url if target else "no longer in the list"
        groups = ", ".join(target.groups) if target else ""
        agents = sorted(agent for known, agent in latest if known == name)
        if not agents:
            found.append(
                TargetRow(name, address, groups, "", "not known", ("Nothing sent yet", "", "s-off"), "", "never")
            )
        for agent in agents:
            last = latest[name, agent]
            runs = serving.get((name, agent), "not known")
            note = last.reason or f"{ASKED.get(last.what, last.what)} {last.version}"
            found.append(
                TargetRow(
                    name,
                    address,
                    groups,
                    agent,
                    runs,
                    transfer_words(last.state, last.code),
                    note,
                    words.moment(last.at, now),
                    target is not None,
                )
            )
    return sorted(
        found, key=lambda row: RANKS.get(row.state[1], 2)
    )  # what needs somebody first, else as they were added


def headline(table: Sequence[TargetRow], newest: Mapping[str, str]) -> str:
    """The first line: how many run the newest."""
    names = {row.name for row in table}
    if not names:
        return "No Pi is known here yet."
    current = {row.name for row in table if row.agent and row.runs == newest.get(row.agent)}
    offline = sorted({row.name for row in table if row.state[0] == "Offline"})
    refused = sorted({row.name for row in table if row.state[1] == "high"} - set(offline))
    all_of_them = words.counted(len(names), "Pi", "Pis")
    does = {True: "runs", False: "does not run"}[bool(current)]
    some = words.sentence(words.counted(len(current), "", "").strip()) if current else "None"
    first = f"{some} of {all_of_them} {'runs' if len(current) == 1 else 'run'} the newest model."
    if len(names) == 1:
        first = f"The one Pi {does} the newest model."
    if offline:
        first += f" {_who(offline)} could not be reached."
    return f"{first} {_who(refused)} turned the last one away." if refused else first


def _who(names: Sequence[str]) -> str:
    if len(names) <= NAMED:
        return words.joined(names)
    return words.sentence(words.counted(len(names), "", "").strip())
