"""What activating a version would change, in the words of the page that asks once more. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from inference.bundles import store as store_of
from inference.bundles.store import BundleRow, BundleStore
from inference.web.model_words import STATES, Words, learnt_rows, windows_seen
from shared.web import words
from shared.web.bundle_words import BundleWords


@dataclass(frozen=True, slots=True)
class Change:
    """What a confirmation page asks about. `refused` says why it cannot be done."""

    agent: str
    version: str
    action: str
    verb: str
    now_version: str
    facts: tuple[tuple[str, str, str], ...]
    refused: str = ""


def change(store: BundleStore, known: Words, agent: str, version: str, now: float) -> Change | None:
    """What activating a version would change; None for a version that is not known here."""
    row, active = store.known(agent, version), store.active(agent)
    if row is None:
        return None
    back = active is not None and (version == active.previous or version < active.version)
    refused = ""
    if active is not None and active.version == version:
        refused = f"{agent} runs {version} already."
    elif row.state != store_of.GOOD:
        refused = _why_not(row)
    elif not store.shelf.path(agent, version).is_dir():
        refused = f"The copy of {version} was cleaned up. Ship it again from the trainer."
    then, current = known(agent, version), known(agent, active.version if active else None)
    return Change(
        agent=agent,
        version=version,
        action="rollback" if back else "activate",
        verb="Roll back to" if back else "Activate",
        now_version=active.version if active else "nothing",
        facts=differences(current, then, active.version if active else "", version, now),
        refused=refused,
    )


def _why_not(row: BundleRow) -> str:
    """Why a version that is here cannot be activated."""
    if row.state == store_of.PROBATION:
        return f"Another version took the place of {row.version} before it had proved itself. Ship it again from the trainer."
    return f"{row.version} is not good: {STATES.get(row.state, (row.state,))[0].lower()}. {row.reason}"


def differences(
    current: BundleWords, then: BundleWords, now_version: str, version: str, now: float
) -> tuple[tuple[str, str, str], ...]:
    """Property, now, then: only what both can say."""
    made_now, made_then = words.version_time(now_version), words.version_time(version)
    rows = [("Made", _made(made_now, now), _made(made_then, now))]
    rows.append(("Learnt from", learnt_rows(current.metadata), learnt_rows(then.metadata)))
    rows.append(("Windows seen", windows_seen(current) or "not said", windows_seen(then) or "not said"))
    names_now, names_then = set(current.features), set(then.features)
    if names_now and names_then:
        rows.append(("Features", f"{len(names_now)}", _features(names_now, names_then, current)))
    if current.threshold and then.threshold:
        rows.append(("Alert line", f"1 in {current.threshold:,.0f}", f"1 in {then.threshold:,.0f}"))
    return tuple(rows)


def _features(names_now: set[str], names_then: set[str], current: BundleWords) -> str:
    lost = sorted(current.feature(name)[0] for name in names_now - names_then)
    return f"{len(names_then)}" + (f": not {', '.join(lost[:3])}{' and more' if len(lost) > 3 else ''}" if lost else "")


def _made(made: float | None, now: float) -> str:
    return f"{words.day(made)}, {words.age(now - made)}" if made else "nothing runs"
