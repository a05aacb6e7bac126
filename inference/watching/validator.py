"""Is a model fit to serve here? Quality, compatibility with its agent, age, drift: each a check with its reason.

`validate` looks at one private copy, loads it and lets it reproduce its golden rows: it runs in a bounded child, never in
the web process itself. Age is a warning and never a refusal: a Pi has no trustworthy clock at boot.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from inference.watching.drifting import DriftReport
from shared import bundle, layout
from shared.errors import BundleError

GOOD, ODD, WRONG, UNKNOWN = "good", "odd", "wrong", "unknown"
QUALITY, COMPATIBILITY, AGE, DRIFT = "quality", "compatibility", "age", "drift"
LOWER_IS_BETTER = ("false", "loss", "error")
DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at. `cure`: what to do; empty where nothing is wrong."""

    section: str
    what: str
    state: str  # good, odd (works, but look), wrong, unknown
    found: str
    cure: str = ""


@dataclass(frozen=True, slots=True)
class Validation:
    """All checks of one version."""

    agent: str
    version: str
    at: float
    checks: tuple[Check, ...]

    @property
    def is_valid(self) -> bool:
        """Whether nothing is wrong."""
        return all(check.state != WRONG for check in self.checks)

    @property
    def state(self) -> str:
        """The worst state of a check: good, odd or wrong (unknown counts as nothing)."""
        states = {check.state for check in self.checks}
        return next((state for state in (WRONG, ODD) if state in states), GOOD)

    def section(self, name: str) -> tuple[Check, ...]:
        """The checks of one section."""
        return tuple(check for check in self.checks if check.section == name)

    def recommendations(self) -> list[str]:
        """What to do, once each."""
        return list(dict.fromkeys(check.cure for check in self.checks if check.cure))

    def as_json(self) -> dict[str, Any]:
        """For the table and the API."""
        return asdict(self)

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Validation:
        """What `as_json` gave."""
        checks = tuple(Check(**check) for check in value["checks"])
        return Validation(str(value["agent"]), str(value["version"]), float(value["at"]), checks)


def validate(
    folder: Path, now: float, *, max_age_s: float, features: Sequence[str] = (), drift: DriftReport | None = None
) -> Validation:
    """Look at the private copy in `folder`; `features` are those that a caller asks for besides."""
    checks: list[Check] = []
    agent, version = folder.parent.name, folder.name
    try:
        raw = bundle.open_bundle(folder)
        manifest = bundle.verify(raw, None)
        checks.append(Check(QUALITY, "files", GOOD, f"{len(manifest.files)} files, sizes and hashes as signed"))
    except (BundleError, OSError) as error:
        return Validation(agent, version, now, (Check(QUALITY, "files", WRONG, str(error), "ship the version again"),))
    metadata = _object(raw["metadata.json"])
    checks += _model(raw, metadata, features)
    checks += _quality(metadata)
    checks += _age(version, metadata, now, max_age_s)
    checks += drift_checks(drift, now)
    return Validation(agent, version, now, tuple(checks))


def _model(raw: Mapping[str, bytes], metadata: Mapping[str, Any], features: Sequence[str]) -> list[Check]:
    """Load it, reproduce the golden rows, compare its features with its agent's."""
    from shared.model import check_golden, load_model  # numpy: in the child only

    try:
        model = load_model({name: data for name, data in raw.items() if name != "model.joblib"})
        largest = check_golden(model, raw["golden.json"])
    except BundleError as error:
        what = "golden rows" if error.code == "golden" else "loads"
        return [Check(QUALITY, what, WRONG, str(error), "ship a new version; this one must not serve")]
    found = [
        Check(QUALITY, "loads", GOOD, f"{len(model.forests)} roles: {', '.join(sorted(model.forests))}"),
        Check(
            QUALITY, "golden rows", GOOD, f"reproduced {f'to {largest:.0e}' if largest else 'exactly'} (allowed: 1e-09)"
        ),
    ]
    return [*found, *compatibility(model.spec, metadata, features)]


def compatibility(spec: Any, metadata: Mapping[str, Any], asked: Sequence[str] = ()) -> list[Check]:
    """The model's features against those of the agent file it travels with, this release's agent, and a caller's list."""
    from shared.agent import builtin_agents

    own = {feature.name for feature in spec.features}
    used = [str(name) for name in metadata.get("features_used") or ()]
    lost = sorted(set(used) - own)
    found = [
        Check(COMPATIBILITY, "features", WRONG, f"its agent file lacks {_some(lost)}", "train it again")
        if lost
        else Check(COMPATIBILITY, "features", GOOD, f"all {len(used)} of its features are in its agent file")
    ]
    here = builtin_agents().get(spec.name)
    if here is None:
        found.append(Check(COMPATIBILITY, "agent", GOOD, f"{spec.name} is an agent of your own; the bundle brings it"))
    elif here.version != spec.version:
        newer = "older" if spec.version < here.version else "newer"
        found.append(
            Check(
                COMPATIBILITY, "agent", ODD,
                f"its agent file is version {spec.version}, {newer} than this release's {here.version}",
                "train a new version to use what the release knows" if newer == "older" else "update Pipit on this machine",
            )
        )  # fmt: skip
    else:
        found.append(
            Check(COMPATIBILITY, "agent", GOOD, f"agent {spec.name}, file version {spec.version}, as this release")
        )
    if asked:
        missing = sorted(set(asked) - own)
        found.append(
            Check(COMPATIBILITY, "asked for", WRONG, f"it has no feature {_some(missing)}", "see the agent's features")
            if missing
            else Check(COMPATIBILITY, "asked for", GOOD, f"it has all {len(set(asked))} features asked for")
        )
    return found


def _quality(metadata: Mapping[str, Any]) -> list[Check]:
    """What training measured, against the gate that was set there."""
    evaluation = _mapping(metadata.get("evaluation_info")) or _mapping(metadata.get("evaluation"))
    metrics = {str(k): v for k, v in _mapping(evaluation.get("metrics")).items() if isinstance(v, int | float)}
    checks = _mapping(evaluation.get("threshold_checks"))
    found = []
    failed = sorted(
        str(name) for name, passed in checks.items() if passed is False or _mapping(passed).get("passed") is False
    )
    if failed:
        found.append(
            Check(
                QUALITY, "gate", ODD, f"training's gate was missed: {_some(failed)}", "read the training report first"
            )
        )
    elif checks:
        found.append(Check(QUALITY, "gate", GOOD, f"training's gate passed: {words_of(metrics)}"))
    elif metrics:
        found.append(Check(QUALITY, "evaluation", GOOD, words_of(metrics)))
    else:
        found.append(Check(QUALITY, "evaluation", UNKNOWN, "training measured nothing that is noted in the bundle"))
    count = metadata.get("training_log_count")
    if isinstance(count, int):
        found.append(Check(QUALITY, "learnt from", GOOD, f"{count:,} log lines"))
    return found


def words_of(metrics: Mapping[str, float], most: int = 4) -> str:
    """Some figures in words."""
    shown = [
        f"{name.replace('_', ' ')} {value:.3g}" for name, value in list(metrics.items())[:most] if math.isfinite(value)
    ]
    return ", ".join(shown) or "no figures"


def _age(version: str, metadata: Mapping[str, Any], now: float, max_age_s: float) -> list[Check]:
    """How old the model is and how old the newest line it learnt from: warnings, never refusals."""
    from datetime import UTC, datetime

    found = []
    try:
        made = datetime.strptime(version.split("-", 1)[0], "%Y%m%d_%H%M%S").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return [Check(AGE, "age", UNKNOWN, "its name does not say when it was made")]
    found.append(_aged("age", "made", now - made, max_age_s))
    last = _mapping(_mapping(metadata.get("training_info")).get("data_info")).get("last")
    try:
        learnt = datetime.fromisoformat(str(last).replace("Z", "+00:00")).timestamp()
    except ValueError:
        return found
    found.append(_aged("freshness", "the newest line it learnt from was written", now - learnt, max_age_s))
    return found


def _aged(what: str, words: str, age_s: float, max_age_s: float) -> Check:
    if age_s < -DAY_S:
        return Check(
            AGE, what, ODD, f"{words} in the future by this machine's clock", "look at the clock of both machines"
        )
    days = max(0.0, age_s) / DAY_S
    hours = round(max(0.0, age_s) / 3600)
    found = f"{words} {days:.0f} days ago" if days >= 1.5 else f"{words} {hours} hour{'s' * (hours != 1)} ago"
    if age_s > max_age_s:
        return Check(AGE, what, ODD, f"{found}; more than {max_age_s / DAY_S:.0f} days", "train on newer logs and ship")
    return Check(AGE, what, GOOD, found)


def drift_checks(drift: DriftReport | None, now: float) -> list[Check]:
    """The newest measurement of drift, as checks."""
    if drift is None:
        return [Check(DRIFT, "drift", UNKNOWN, "not measured yet")]
    if drift.word == "unknown":
        return [Check(DRIFT, "drift", UNKNOWN, f"{drift.windows} windows; a word takes {drift.least} of one role")]
    state = {"steady": GOOD, "watch": ODD, "drifted": ODD}[drift.word]
    bad = [one for one in (*drift.features, *drift.scores) if one.word == drift.word][:3]
    names = ", ".join(f"{one.name} of {one.role} {one.psi:.2f}" for one in bad)
    cure = {"steady": "", "watch": "look again tomorrow", "drifted": "train on newer logs and ship"}[drift.word]
    said = "as in training" if drift.word == "steady" else f"{drift.word}: {names} (PSI)"
    return [Check(DRIFT, "drift", state, f"{said}; {drift.windows:,} windows", cure)]


def _some(names: Sequence[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _object(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


# --- kept for the pages ------------------------------------------------------------------------------------------------

SCHEMA = """
CREATE TABLE IF NOT EXISTS validations (
    agent TEXT NOT NULL, version TEXT NOT NULL, at REAL NOT NULL, value TEXT NOT NULL, PRIMARY KEY (agent, version))
    WITHOUT ROWID;
"""


def save(db: Any, found: Validation) -> None:
    """Keep the newest validation of a version."""
    text = json.dumps(found.as_json(), separators=(",", ":"))
    query = "INSERT OR REPLACE INTO validations (agent, version, at, value) VALUES (?,?,?,?)"
    db.execute(query, (found.agent, found.version, found.at, text))


def newest(db: Any, agent: str, version: str) -> Validation | None:
    """The newest validation of a version."""
    row = db.execute("SELECT value FROM validations WHERE agent = ? AND version = ?", (agent, version)).fetchone()
    return None if row is None else Validation.from_json(json.loads(row[0]))


def copy_of(store: Path, agent: str, version: str) -> Path:
    """Where the private copy lies.

    Raises:
        BundleError: code "not_here".
    """
    folder = layout.bundle_folder(store, agent, version)
    if not (layout.is_agent(agent) and layout.is_version(version) and folder.is_dir()):
        raise BundleError("not_here", f"{agent} {version} has no copy in this machine's store; ship it again")
    return folder
