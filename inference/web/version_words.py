"""One version, what became of bundles, and a challenger against the active version, as values for the pages."""

from __future__ import annotations

from dataclasses import dataclass

from inference.bundles import store as store_of
from inference.bundles.store import BundleRow, TransferRow
from inference.judging.comparison import Comparison
from inference.said import switches
from inference.watching.validator import Check, Validation
from inference.web.model_words import STATES, ModelRow, listed_row
from inference.web.room import Room
from shared import layout
from shared.web import words
from shared.web.bundle_words import BundleWords
from shared.web.fact import Fact


@dataclass(frozen=True, slots=True)
class TransferWords:
    """One thing that became of a bundle."""

    at: str
    agent: str
    version: str
    way: str
    size: int
    state: tuple[str, str, str]
    reason: str


def transfer(row: TransferRow, now: float) -> TransferWords:
    """A row of the history."""
    state = STATES.get(row.state, (words.sentence(row.state), "", "s-off"))
    state = ("Good", "ok", "s-ok") if row.state == store_of.GOOD else state
    reason = row.reason if row.state not in (store_of.GOOD, "loaded") else ""
    return TransferWords(words.moment(row.at, now), row.agent, row.version, row.way, row.size, state, reason)


def transfers_headline(newest: TransferRow | None, now: float) -> str:
    """The first line of the history: what became of the newest."""
    if newest is None:
        return "No bundle has come here yet."
    state = transfer(newest, now).state[0]
    return f"The newest bundle: {newest.agent} {newest.version}, {state[:1].lower()}{state[1:]} {words.ago(newest.at, now)}."


@dataclass(frozen=True, slots=True)
class DifferentWords:
    """A window that the two versions judge differently."""

    where: str
    incident_id: int | None
    active: str
    active_alerts: bool
    challenger: str
    challenger_alerts: bool
    mark: str


@dataclass(frozen=True, slots=True)
class ComparisonView:
    """A challenger against the active version."""

    agent: str
    active: str
    challenger: str
    since: str
    error: str
    facts: tuple[Fact, ...]
    different: tuple[DifferentWords, ...]
    windows: int = 0


MARKS = {"false": "false alarm", "confirmed": "real"}


def comparison(found: Comparison, known: BundleWords, now: float) -> ComparisonView:
    """What each would have alerted, in words."""
    share = words.plain_share(found.agree / found.windows) if found.windows else "nothing judged by both yet"
    return ComparisonView(
        agent=found.agent, active=found.active, challenger=found.challenger, since=words.moment(found.since, now),
        error=found.error,
        facts=(
            Fact("They agree", f"{found.agree:,} of {found.windows:,}", share),
            Fact("Both alert", words.figure(found.both, "window"), "the same windows" if found.both else "none yet"),
            Fact(
                "Only the active one alerts", words.figure(found.only_active, "window"),
                f"{words.figure(found.active_incidents, 'incident')} in all",
            ),
            Fact(
                "Only the challenger alerts", words.figure(found.only_challenger, "window"),
                f"{words.figure(found.challenger_incidents, 'incident')} in all",
            ),
        ),
        different=tuple(
            DifferentWords(
                f"{one.host}, {words.moment(one.window_start, now)}", one.incident_id, known.rarity(one.active),
                one.active_alerts, known.rarity(one.challenger), one.challenger_alerts, MARKS.get(one.mark or "", "none yet"),
            )
            for one in found.different
        ),
        windows=found.windows,
    )  # fmt: skip


# state of a check → its word, class and icon
CHECKS = {
    "good": ("good", "ok", "s-ok"),
    "odd": ("look", "mid", "s-mid"),
    "wrong": ("wrong", "high", "s-no"),
    "unknown": ("unknown", "", "s-off"),
}
SECTIONS = (
    ("quality", "Quality", "is it whole, and what did training measure?"),
    ("compatibility", "Compatibility", "does it fit its agent and this release?"),
    ("age", "Age", "a warning, never a refusal"),
    ("drift", "Drift", "does the log still look like what it learnt?"),
)


@dataclass(frozen=True, slots=True)
class OneView:
    """The page of one version."""

    row: BundleRow
    listed: ModelRow
    title: str
    headline: str
    lead: str
    facts: tuple[Fact, ...]
    sections: tuple[tuple[str, str, tuple[Check, ...]], ...]
    looked_at: str
    advice: tuple[str, ...]
    is_here: bool
    is_challenger: bool
    can_challenge: bool
    transfers: tuple[TransferWords, ...]


def _doing(row: BundleRow, listed: ModelRow) -> str:
    """What a version does, as a verb."""
    if listed.is_active:
        return "serves on probation" if row.state == store_of.PROBATION else "serves"
    told = {
        store_of.REFUSED: "was refused",
        store_of.BAD: "failed its checks",
        store_of.RETURNED: "was given up on probation",
        store_of.CANDIDATE: "is being tried",
    }
    return told.get(row.state, "is kept")


def one(room: Room, row: BundleRow, found: Validation | None, now: float) -> OneView:
    """Everything about one version."""
    store, own = room.store(), room.words(row.agent, row.version)
    active = store.active(row.agent)
    listed, beside = listed_row(row, active, own, now), switches.challengers(room.db()).get(row.agent)
    is_challenger = beside is not None and beside.version == row.version
    made = words.version_time(row.version)
    passed = {"good": "nothing is wrong", "odd": "it works, but look at what is marked", "wrong": "something is wrong"}
    transfers = [transfer(one, now) for one in store.transfers(row.agent, 1000) if one.version == row.version]
    is_here = layout.bundle_folder(room.store_dir, row.agent, row.version).is_dir()
    return OneView(
        row=row, listed=listed, title=own.title or row.agent,
        headline=f"{row.agent} {row.version} {_doing(row, listed)}; "
        + (f"{passed[found.state]}." if found else "nobody has looked at it closely yet."),
        lead=row.reason or f"Learnt from {listed.learnt}, {listed.learnt_note or 'windows not said'}.",
        facts=(
            Fact("Made", words.day(made) if made else "not said", words.age(now - made) if made else ""),
            Fact("Learnt from", listed.learnt, listed.learnt_note),
            Fact("Alert line", f"1 in {own.threshold:,.0f}" if own.threshold else "not said", "rarer windows are anomalies"),
            Fact("Signed by", row.signer or "nobody", f"serial {row.serial}"),
            Fact("Size", words.size(row.size), f"came {words.moment(row.received, now)}"),
        ),
        sections=tuple((title, why, found.section(name)) for name, title, why in SECTIONS if found.section(name))
        if found
        else (),
        looked_at=words.ago(found.at, now) if found else "", advice=tuple(found.recommendations()) if found else (),
        is_here=is_here, is_challenger=is_challenger,
        can_challenge=bool(is_here and active and active.version != row.version and not is_challenger
                           and row.state in (store_of.GOOD, store_of.PROBATION, store_of.TRIED)),
        transfers=tuple(transfers[:10]),
    )  # fmt: skip
