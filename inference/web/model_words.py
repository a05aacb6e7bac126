"""The models page and its confirmation as values: what serves, what is kept, what was refused and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from inference.bundles import store as store_of
from inference.bundles.store import ActiveRow, BundleRow, BundleStore, TransferRow, WishRow
from inference.said import switches
from inference.watching import validator
from shared.web import words
from shared.web.bundle_words import BundleWords

Words = Callable[[str, str | None], BundleWords]
REFUSED_NOTE_S = 7 * words.DAY_S
TRANSFERS_SHOWN = 5

# state of a bundle → its words, class and icon
STATES = {
    store_of.CANDIDATE: ("Being tried", "low", "s-wait"),
    store_of.PROBATION: ("On probation", "mid", "s-wait"),
    store_of.TRIED: ("Tried out, has not served", "", "s-off"),
    store_of.GOOD: ("Kept", "", "s-off"),
    store_of.RETURNED: ("Given up on probation", "high", "s-no"),
    store_of.BAD: ("Failed its checks", "high", "s-no"),
    store_of.REFUSED: ("Refused", "high", "s-no"),
}


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One version as a row of the table."""

    agent: str
    version: str
    serial: int
    signer: str
    state: tuple[str, str, str]
    note: str
    learnt: str
    learnt_note: str
    is_active: bool
    refused: str
    verb: str
    is_challenger: bool = False
    checks: str = ""


@dataclass(frozen=True, slots=True)
class AgentCard:
    """One agent and its versions."""

    agent: str
    title: str
    rows: tuple[ModelRow, ...]
    probation: str


@dataclass(frozen=True, slots=True)
class ModelsView:
    """The models page."""

    headline: str
    lead: str
    cards: tuple[AgentCard, ...] = ()
    refused: tuple[tuple[BundleRow, str], ...] = ()
    wishes: tuple[tuple[WishRow, str], ...] = ()
    transfers: tuple[tuple[TransferRow, str, tuple[str, str, str]], ...] = ()
    transfer_count: int = 0


NOTHING = ModelsView("No model has arrived yet.", "The daemon has not run on this machine.")


def view(store: BundleStore, known: Words, now: float) -> ModelsView:
    """All of the models page."""
    bundles, actives = store.bundles(), {row.agent: row for row in store.actives()}
    agents = sorted({row.agent for row in bundles} | set(actives))
    refused = [row for row in bundles if row.state in (store_of.REFUSED, store_of.BAD, store_of.RETURNED)]
    recent = [row for row in refused if now - row.updated < REFUSED_NOTE_S]
    transfers = store.transfers(limit=1000)
    beside = {agent: row.version for agent, row in switches.challengers(store.db).items()}
    checks = _checks(store, now)
    return ModelsView(
        headline=_headline(actives, bundles),
        lead=_lead(bundles, recent, agents),
        cards=tuple(_card(agent, bundles, actives.get(agent), known, now, beside, checks) for agent in agents),
        refused=tuple((row, words.moment(row.updated, now)) for row in recent),
        wishes=tuple((wish, words.moment(wish.at, now)) for wish in store.open_wishes()),
        transfers=tuple(
            (row, words.moment(row.at, now), STATES.get(row.state, (words.sentence(row.state), "", "s-off")))
            for row in transfers[:TRANSFERS_SHOWN]
        ),
        transfer_count=len(transfers),
    )


def _checks(store: BundleStore, now: float) -> dict[tuple[str, str], str]:
    """What the newest validation of each version said."""
    found = {}
    for row in store.bundles():
        seen = validator.newest(store.db, row.agent, row.version)
        if seen is not None:
            said = {"good": "all checks passed", "odd": "checks passed, look", "wrong": "a check failed"}[seen.state]
            found[row.agent, row.version] = f"{said}, {words.moment(seen.at, now)}"
    return found


def _headline(actives: Mapping[str, ActiveRow], bundles: list[BundleRow]) -> str:
    if not actives:
        return "No model runs here yet." if not bundles else "No model runs here: none that arrived could be used."
    states = {(row.agent, row.version): row.state for row in bundles}
    parts = []
    for agent, active in actives.items():
        trial = states.get((agent, active.version)) == store_of.PROBATION
        parts.append(f"{agent} runs {active.version}, {'on probation' if trial else 'and it is good'}")
    return "; ".join(parts) + "."


def _lead(bundles: list[BundleRow], recent: list[BundleRow], agents: list[str]) -> str:
    kept = sum(1 for row in bundles if row.state in (store_of.GOOD, store_of.PROBATION))
    said = f"{words.sentence(words.counted(kept, 'version'))} of {words.counted(len(agents), 'agent')} can serve"
    if recent:
        return f"{said}. {words.sentence(words.counted(len(recent), 'bundle'))} did not pass in the last 7 days."
    return f"{said}. Whatever arrives is checked here before it may serve."


def _card(
    agent: str, bundles: list[BundleRow], active: ActiveRow | None, known: Words, now: float,
    challengers: Mapping[str, str], checks: Mapping[tuple[str, str], str],
) -> AgentCard:  # fmt: skip
    own = [row for row in bundles if row.agent == agent]
    rank = {active.version: 0, active.previous: 1} if active else {}
    own.sort(key=lambda row: (rank.get(row.version, 2), -row.serial))
    promise = ""
    if active is not None and any(row.version == active.version and row.state == store_of.PROBATION for row in own):
        anomalous = words.counted(active.anomalies, "anomalous one", "anomalous ones")
        scored, errors = words.counted(active.windows, "window"), words.counted(active.errors, "error")
        promise = f"{scored} scored since it serves, {anomalous}, {errors}"
    beside = challengers.get(agent)
    rows = tuple(
        replace(
            listed_row(row, active, known(agent, row.version), now), is_challenger=row.version == beside,
            checks=checks.get((agent, row.version), ""),
        )
        for row in own
    )  # fmt: skip
    return AgentCard(agent, known(agent, None).title, rows, promise)


def listed_row(row: BundleRow, active: ActiveRow | None, own: BundleWords, now: float) -> ModelRow:
    is_active = active is not None and active.version == row.version
    is_previous = active is not None and active.previous == row.version
    state, note = STATES.get(row.state, (row.state, "", "s-off")), f"since {words.moment(row.updated, now)}"
    if is_active and active is not None:
        state = (
            ("Active, good", "ok", "s-ok") if row.state == store_of.GOOD else ("Active, on probation", "mid", "s-wait")
        )
        note = f"since {words.moment(active.since, now)}"
    elif is_previous and row.state == store_of.GOOD:
        state = ("Previous", "", "s-off")
    elif row.state == store_of.PROBATION:
        state = ("Replaced on probation", "", "s-off")  # another came before it could prove itself
    back = active is not None and (is_previous or row.version < active.version)
    offered = row.state == store_of.GOOD and not is_active
    return ModelRow(
        agent=row.agent,
        version=row.version,
        serial=row.serial,
        signer=row.signer,
        state=state,
        note=note,
        learnt=learnt_rows(own.metadata),
        learnt_note=windows_seen(own),
        is_active=is_active,
        refused=row.reason if row.state in (store_of.REFUSED, store_of.BAD, store_of.RETURNED) else "",
        verb=("Roll back…" if back else "Activate…") if offered else "",
    )


def learnt_rows(metadata: Mapping[str, Any]) -> str:
    count = metadata.get("training_log_count")
    return f"{count:,} log lines" if isinstance(count, int) else "not said"


def windows_seen(own: BundleWords) -> str:
    windows = own.metadata.get("windows")
    count = windows.get("total") if isinstance(windows, dict) else windows
    count = count if isinstance(count, int) else own.sample
    return words.counted(count, "window") if isinstance(count, int) else ""
