"""Windows to verdicts: the model's score and the agent's rules together, with what moved and the lines behind it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from shared.agent import UNUSUAL, AgentSpec, FeatureSpec
from shared.clean import clean
from shared.features import Window
from shared.model import Model
from shared.rules import Facts, Hit, names_in_rule
from shared.scale import Floats, Scale, both_views
from shared.silence import Silence
from shared.values import Line, Moved, Verdict

MOST_MOVED = 6
MOST_LINES = 40
MOST_HOSTS = 500  # whose worst normal day is remembered
IN_A_FLOOD = " (a flood: not every line was looked at, some counts are lower bounds)"
LEADS = 4  # features that may give an anomaly its name when no rule holds
LEAST_LEAD = 0.5  # spread units that a feature must be beyond the host's worst normal day to do so


@dataclass(frozen=True, slots=True)
class _Scored:
    """A window with its figures: raw values and spread units of both views (2·J), and the score."""

    window: Window
    scale: Scale
    host_hash: str
    raw: Floats
    z: Floats
    score: float


class Classifier:
    """Judges closed windows with one model. `budget`: incidents per host-week, None for the bundle's threshold."""

    def __init__(
        self, model: Model, budget: float | None = None, events_of: Mapping[str, frozenset[str]] | None = None
    ) -> None:
        self.model = model
        self._events_of = events_of or {}  # feature -> the events that it counts
        self.threshold = model.threshold(budget)
        self._features = model.spec.features
        self._by_name = {feature.name: feature for feature in self._features}
        self._long = _long_names(model)
        self._suffix = long_suffix(model.spec)
        self._worst: dict[tuple[str, str], tuple[Mapping[str, float], Mapping[str, float]]] = {}
        self._shown: dict[str, tuple[list[tuple[int, str]], list[tuple[int, str]]]] = {}
        self._long_titles = [(i, self._features[i].name + self._suffix) for i in self._long]

    def set_budget(self, budget: float | None) -> None:
        """Set the threshold for so many incidents per host-week; None: as the bundle says."""
        self.threshold = self.model.threshold(budget)

    def judge(self, windows: Sequence[Window]) -> list[Verdict]:
        """A verdict for each window whose role the model knows, scored together."""
        scored: list[_Scored] = []
        for role in self.model.forests:
            group = [window for window in windows if window.role == role]
            if not group:
                continue
            scale = self.model.scales[role]
            hashes = [self.model.host_hash(window.host) for window in group]
            raws = [scale.raw(window.short, window.long) for window in group]
            zs = [scale.z(host, raw) for host, raw in zip(hashes, raws, strict=True)]
            scores = self.model.score(role, both_views(np.array(zs)))
            scored += map(_Scored, group, [scale] * len(group), hashes, raws, zs, map(float, scores))
        return [self._verdict(one) for one in scored]

    def _verdict(self, one: _Scored) -> Verdict:
        window = one.window
        features = self._values(window)
        hits = self._hits(one)
        by_model = one.score > self.threshold
        by_rule = any(hit.raises for hit in hits)
        anomalous = by_model or by_rule
        moved = self._explain(one) if anomalous else ()
        kind, severity, confidence, words = (
            self._name(one, hits, by_model, by_rule) if anomalous else (None, None, None, "")
        )
        return Verdict(
            agent=self.model.agent,
            host=window.host,
            window_start=window.start,
            window_end=window.end,
            role=window.role,
            rows=window.rows,
            score=one.score,
            rarity=self.model.rarity(window.role, one.score),
            is_anomaly=anomalous,
            type=kind,
            severity=severity,
            confidence=confidence,
            description=words + IN_A_FLOOD if anomalous and window.sampled else words,
            features=features,
            explanation=moved,
            model_version=self.model.version,
            found_by="+".join(name for name, found in (("model", by_model), ("rule", by_rule)) if found),
            lines=self._lines(window, moved, hits) if anomalous else (),
            sampled=window.sampled,
            nearest=self._nearest(one, moved) if anomalous else None,
        )

    def _lines(self, window: Window, moved: Sequence[Moved], hits: Sequence[Hit]) -> tuple[Line, ...]:
        """The log lines kept of the window: first those of the events that the leading features and the rule count."""
        telling: set[str] = set()
        for name in [one.feature for one in moved[:LEADS]] + [
            name for hit in hits[:1] for name in names_in_rule(hit.rule)
        ]:
            telling |= self._events_of.get(name.removesuffix(self._suffix), frozenset())
        lines = [Line(time, cell.program, text, cell.event in telling) for time, cell, text in window.samples]
        return tuple(sorted(lines, key=lambda line: not line.telling)[:MOST_LINES])

    def _nearest(self, one: _Scored, moved: Sequence[Moved]) -> Mapping[str, object] | None:
        """The normal window that this one looks most like, with what moved as it was then."""
        windows = self.model.nearest.get(one.window.role)
        if windows is None:
            return None
        titles = [*one.scale.names, *(name + self._suffix for name in one.scale.names)]
        places = {title: j for j, title in enumerate(titles)}
        return windows.nearest(one.host_hash, one.z, [each.feature for each in moved], places)

    def _values(self, window: Window) -> dict[str, float | None]:
        """The features of the window's role by name, those of the half hour behind them; None where missing."""
        short, long = self._shown_of(window.role)
        here, behind = window.short, window.long
        values = {name: None if here[i] != here[i] else here[i] for i, name in short}
        values.update({name: None if behind[i] != behind[i] else behind[i] for i, name in long})
        return values

    def _shown_of(self, role: str) -> tuple[list[tuple[int, str]], list[tuple[int, str]]]:
        """Position and name of each feature of a role, now and over the half hour."""
        shown = self._shown.get(role)
        if shown is None:
            mine = [feature.role in ("any", role) for feature in self._features]
            short = [(i, feature.name) for i, feature in enumerate(self._features) if mine[i]]
            shown = self._shown[role] = short, [(i, title) for i, title in self._long_titles if mine[i]]
        return shown

    def _hits(self, one: _Scored) -> list[Hit]:
        worst, worst_now = self._worst_of(one)
        facts = Facts(one.window.long, one.window.short, worst, worst_now, self.model.reference.leaves_logged)
        return self.model.rules.hits(one.window.role, facts)

    def _worst_of(self, one: _Scored) -> tuple[Mapping[str, float], Mapping[str, float]]:
        """The host's worst normal day over the half hour and over one window, by feature; remembered per host."""
        key = (one.window.role, one.host_hash)
        found = self._worst.get(key)
        if found is None:
            if len(self._worst) >= MOST_HOSTS:
                self._worst.clear()
            worst, half = one.scale.worst_day(one.host_hash).tolist(), len(one.scale.names)
            by_name = [dict(zip(one.scale.names, part, strict=True)) for part in (worst[half:], worst[:half])]
            found = self._worst[key] = by_name[0], by_name[1]
        return found

    def _name(self, one: _Scored, hits: list[Hit], by_model: bool, by_rule: bool) -> tuple[str, str, float, str]:
        """(type, severity, confidence, description): by the first rule that holds, else by the feature that leads."""
        certainty = 0.5 + 0.35 * min(
            1.0, max(0.0, (one.score - self.threshold) / (3 * self.model.reference.tail.width))
        )
        host = clean(one.window.host, 100)
        if hits:
            rule = hits[0].rule
            confidence = rule.confidence if by_rule else 0.85 * rule.confidence
            if by_model and by_rule:
                confidence = 1 - (1 - rule.confidence) * (1 - 0.5 * certainty)
            words = rule.description.format(host=host, **self._numbers(one.window))
            return rule.names, rule.severity, round(confidence, 3), words
        lead = self._leads(one)
        kind = next((feature.scored.hint for feature in lead if feature.scored and feature.scored.hint), UNUSUAL)
        what = ", ".join(feature.title.lower() for feature in lead[:2]) or "its lines together"
        return kind, "warning", round(0.8 * certainty, 3), f"{host} is not as usual: {what}"

    def _numbers(self, window: Window) -> dict[str, str]:
        return {
            feature.name: "?" if math.isnan(value) else f"{value:,.0f}"
            for feature, value in zip(self._features, window.long, strict=True)
        }

    def _leads(self, one: _Scored) -> list[FeatureSpec]:
        """The features furthest beyond the host's worst normal day, furthest first."""
        z = both_views(one.z)
        order = np.argsort(-z, kind="stable")[:LEADS]
        return [self._by_name[one.scale.names[j]] for j in order if z[j] >= LEAST_LEAD]

    def _explain(self, one: _Scored) -> tuple[Moved, ...]:
        """The features that moved the score most: value, the host's normal range, part of log2(score)."""
        scale, half = one.scale, len(one.scale.names)
        z = both_views(one.z)
        parts = self.model.attribute(one.window.role, z, one.score)
        worst = scale.worst_day(one.host_hash)
        normal = self.model.reference.normal.get(one.window.role, {})
        moved = []
        for j in sorted(range(half), key=lambda j: (-(parts[j] if z[j] > 0 else 0.0), -z[j]))[:MOST_MOVED]:
            if z[j] <= 0:
                continue
            at = j if not one.z[j] < one.z[half + j] else half + j  # the view that is further out
            name = scale.names[j] + (self._suffix if at >= half else "")
            low = normal[name].low if name in normal else 0.0
            moved.append(Moved(name, float(one.raw[at]), low, float(worst[at]), float(parts[j])))
        return tuple(moved)

    def silence(self, silence: Silence, start: float, end: float) -> Verdict:
        """The verdict on an empty window of a host that is never that quiet."""
        spec = silence.spec
        minutes = round(silence.quiet_s / 60)
        words = spec.description.format(host=clean(silence.host, 100), minutes=minutes)
        moved = Moved("silence_s", silence.quiet_s, 0.0, silence.limit_s, 1.0)
        return Verdict(
            agent=self.model.agent,
            host=silence.host,
            window_start=start,
            window_end=end,
            role=spec.role,
            rows=0,
            score=1.0,  # the scale's end: never so quiet in training, whatever the forest would say of no rows
            rarity=float(self.model.reference.windows.get(spec.role, 0) + 1),
            is_anomaly=True,
            type=spec.type,
            severity=spec.severity,
            confidence=spec.confidence,
            description=words,
            features={"silence_s": silence.quiet_s},
            explanation=(moved,),
            model_version=self.model.version,
            found_by="silence",
        )


def long_suffix(spec: AgentSpec) -> str:
    """What is put behind a feature's name when the value is that of the trailing view: `_30min`."""
    return f"_{round(spec.long_windows * spec.window_s / 60)}min"


def _long_names(model: Model) -> list[int]:
    scored = {name for scale in model.scales.values() for name in scale.names}
    return [i for i, feature in enumerate(model.spec.features) if feature.name in scored]
