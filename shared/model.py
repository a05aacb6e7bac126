"""A bundle's model in memory: agent spec, reference data, scales and forests; and its golden check."""

from __future__ import annotations

import json
import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

from shared.agent import AgentSpec, parse_agent
from shared.budget import threshold_for
from shared.errors import BundleError, ConfigError
from shared.features import CACHE_SIZE, Compiled, FeatureExtractor
from shared.nearest import NormalWindows, normal_windows
from shared.peak import NO_PEAK, Peak
from shared.reference import Known, Normal, Reference, SilenceLimits, Tail, hashed
from shared.rules import RuleBook
from shared.scale import Floats, Scale
from shared.scoring import Forest, load_forests
from shared.values import Row

GOLDEN_TOLERANCE = 1e-9
REFERENCE_SCHEMA = 1


@dataclass(frozen=True)
class Model:
    """Everything that scoring needs, loaded and checked. Built by `load_model` alone."""

    spec: AgentSpec
    version: str
    metadata: Mapping[str, Any]
    reference: Reference
    scales: Mapping[str, Scale]
    forests: Mapping[str, Forest]
    peak: Peak = NO_PEAK
    nearest: Mapping[str, NormalWindows] = field(default_factory=dict)  # role -> normal windows; none in older bundles

    def __getstate__(self) -> dict[str, Any]:
        """For another process: without what was compiled."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    @property
    def agent(self) -> str:
        """The agent's name."""
        return self.spec.name

    @cached_property
    def rules(self) -> RuleBook:
        """The compiled rules."""
        return RuleBook(self.spec)

    def extractor(self, cache_size: int = CACHE_SIZE) -> FeatureExtractor:
        """A fresh extractor that sees the world as training did."""
        return FeatureExtractor(self.spec, self.reference.known, cache_size, self._compiled)

    @cached_property
    def _compiled(self) -> Compiled:
        return Compiled.of(self.spec)

    def host_hash(self, host: str) -> str:
        """How the bundle names a host."""
        return hashed(self.reference.known.salt, "host", host)

    def threshold(self, budget: float | None = None) -> float:
        """The score over which a window is an anomaly; for `budget` incidents per host-week, or as the bundle says."""
        known = self.reference
        return known.threshold if budget is None else threshold_for(known.tail, budget, known.peaks, known.weeks)

    def score(self, role: str, z: Floats) -> Floats:
        """Scores of (n, J) windows of a role, shape (n,); higher is stranger."""
        return self.peak.score(self.forests[role].score(z), z)

    def attribute(self, role: str, z: Floats, score: float) -> Floats:
        """What each feature adds to log2(score) of one window, shape (J,)."""
        forest = self.forests[role]
        return self.peak.attribute(forest.attribute(z), float(forest.score(z[None])[0]), score, z)

    def rarity(self, role: str, score: float) -> float:
        """N of "1 in N": how many windows of training come to one that scored as high. Never above their number + 1."""
        scores, total = self.reference.scores[role], self.reference.windows[role]
        kept = len(scores)
        above = kept - bisect_left(scores, score)
        if kept < total and above == kept:  # below the scores that were kept one by one: common
            return 1.0
        return (total + 1) / (above + 1)


def load_model(files: Mapping[str, bytes]) -> Model:
    """The model of a bundle's files. Nothing is unpickled; `model.joblib` is not looked at.

    Raises:
        BundleError: code "load", saying which file is wrong and how.
    """
    try:
        spec = parse_agent(files["agent.yaml"], "agent.yaml of the bundle")
        metadata = _object(files, "metadata.json")
        described = _object(files, "reference.json")
        (reference, scales), peak = _reference(described, spec), _peak(described.get("peak"))
        nearest = normal_windows(described.get("nearest", {}), scales)
        forests = load_forests(files["scorer.npz"])
    except (ConfigError, KeyError, ValueError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise BundleError("load", f"the bundle's model cannot be used: {error}") from None
    for role, forest in forests.items():
        if role not in scales or len(scales[role].names) != forest.median.size:
            raise BundleError("load", f"scorer.npz and reference.json disagree about role {role!r}")
    if not forests.keys() == scales.keys() == reference.scores.keys():
        raise BundleError("load", "scorer.npz and reference.json name different roles")
    return Model(spec, str(metadata.get("model_version", "")), metadata, reference, scales, forests, peak, nearest)


def _object(files: Mapping[str, bytes], name: str) -> dict[str, Any]:
    value = json.loads(files[name])
    if not isinstance(value, dict):
        raise ValueError(f"{name} is not an object")
    return value


def _reference(value: Mapping[str, Any], spec: AgentSpec) -> tuple[Reference, dict[str, Scale]]:
    if value["schema"] != REFERENCE_SCHEMA:
        raise ValueError(f"reference.json has schema {value['schema']}, this version reads {REFERENCE_SCHEMA}")
    known = value["known"]
    names = [feature.name for feature in spec.features]
    reference = Reference(
        known=Known(
            str(value["salt"]),
            frozenset(known["networks"]),
            frozenset(known["targets"]),
            {str(key): _number(usual) for key, usual in known["habits"].items()},
            frozenset(known["interfaces"]),
        ),
        silence={
            host: SilenceLimits(_maybe(s["present"]), _maybe(s["empty"]), _maybe(s.get("steady")))
            for host, s in value["silence"].items()
        },
        scores={role: _ascending(scores) for role, scores in value["scores"].items()},
        windows={role: int(count) for role, count in value["windows"].items()},
        tail=Tail(*(_number(value["tail"][key]) for key in ("start", "width", "rate"))),
        threshold=_number(value["threshold"]),
        normal={
            role: {name: Normal(*(_number(figure) for figure in figures)) for name, figures in features.items()}
            for role, features in value["normal"].items()
        },
        leaves_logged=bool(value["leaves_logged"]),
        peaks=_ascending(list(reversed(value["peaks"])))[::-1] if value.get("peaks") else (),
        weeks=_number(value.get("weeks", 0.0)),
    )
    return reference, {role: Scale.from_json(scale, names) for role, scale in value["scale"].items()}


def _peak(value: Mapping[str, Any] | None) -> Peak:
    """The second part of the score; bundles from before it have none."""
    if value is None:
        return NO_PEAK
    peak = Peak(_number(value["offset"]), _number(value["factor"]))
    if peak.factor < 0:
        raise ValueError("the peak's factor is below 0: what is stranger would score lower")
    return peak


def _number(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is not a finite number")
    return number


def _maybe(value: Any) -> float | None:
    return None if value is None else _number(value)


def _ascending(values: Sequence[Any]) -> list[float]:
    scores = [_number(value) for value in values]
    if not scores or scores != sorted(scores):
        raise ValueError("a role's scores must be there and ascend")
    return scores


def check_golden(model: Model, golden: bytes) -> float:
    """Recompute the golden rows and compare: the largest difference of a score or feature.

    Raises:
        BundleError: code "golden" where a window, a feature or a score differs by more than 1e-9 or is no number.
    """
    from shared.judge import Judge  # the judge needs this module's Model

    largest, count = 0.0, 0
    try:
        for case in json.loads(golden)["cases"]:
            judge = Judge(model)
            for row in case["rows"]:
                judge.add(_row(row))
            verdicts = {(verdict.host, verdict.window_start): verdict for verdict in judge.close(math.inf)}
            for expected in case["windows"]:
                verdict = verdicts[expected["host"], expected["window_start"]]
                pairs = [(verdict.score, expected["score"])]
                wanted = expected["features"]
                pairs += [(verdict.features[name], value) for name, value in wanted.items()]
                if "others" in expected:  # bundles from before list every feature
                    others = verdict.features.keys() - wanted.keys()
                    pairs += [(verdict.features[name], expected["others"]) for name in others]
                largest = max(largest, *(_difference(got, want) for got, want in pairs))
                count += 1
    except (KeyError, ValueError, TypeError, AttributeError, IndexError, OverflowError) as error:
        raise BundleError("golden", f"the golden rows cannot be reproduced: {type(error).__name__} {error}") from None
    if not count or not largest <= GOLDEN_TOLERANCE:
        raise BundleError(
            "golden", f"the golden rows differ by {largest:g} in {count} windows, at most {GOLDEN_TOLERANCE:g}"
        )
    return largest


def _row(value: Sequence[Any]) -> Row:
    id_, time, host, program, pid, severity, message = value
    return int(id_), float(time), str(host), str(program), str(pid), int(severity), str(message)


def _difference(got: float | None, want: float | None) -> float:
    if got is None or want is None:
        return 0.0 if got is want else math.inf
    difference = abs(got - float(want))
    return math.inf if math.isnan(difference) else difference
