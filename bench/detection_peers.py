"""Simple detectors on the same windows, to hold ours against: each sees host and 5-minute windows of events or features.

Every peer is trained on the calm log and flags the windows above the 99.9 % quantile of calm windows whose days it had
not seen. They name nothing.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import nbinom, poisson
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.preprocessing import StandardScaler

from bench.detection_data import Evaluation, Found, Rows, judge
from inference.incidents import Incident, Kind
from shared.agent import AgentSpec
from shared.features import FeatureExtractor, windows

Floats = npt.NDArray[np.float64]
Score = Callable[[Floats], Floats]
QUANTILE = 0.999
LEAN = 12  # windows that a host's whole day counts for in an hour of it
DOCUMENTED = frozenset(  # the features that a first sketch would list, one vector for every host
    {
        "log_count",
        "error_ratio",
        "warning_ratio",
        "unique_program_count",
        "disassociation_events",
        "auth_failures",
        "auth_failure_ratio",
        "deauth_count",
        "deauth_ratio",
        "beacon_count",
        "beacon_ratio",
        "unique_mac_count",
        "unique_ssid_count",
        "mean_signal_strength",
        "std_signal_strength",
        "signal_strength_trend",
        "mean_data_rate",
        "mean_packet_loss",
        "connection_time",
        "connection_stability",
        "network_load",
        "device_type",
        "connection_type",
        "hour_of_day",
        "day_of_week",
        "mean_time_between_events",
    }
)


@dataclass(frozen=True)
class Table:
    """Windows of a log: hosts and starts (n,), features (n, F), events counted per window (n, E)."""

    hosts: list[str]
    starts: Floats
    features: Floats
    counts: Floats

    @property
    def placed(self) -> Floats:
        """(n, 2 + E): a number for the host, the hour of the day, and the plain counts."""
        hosts = [float(zlib.crc32(host.encode())) for host in self.hosts]
        return np.column_stack([hosts, self.starts // 3600 % 24, np.round(np.exp2(self.counts) - 1)])


def tabulate(rows: Rows, spec: AgentSpec) -> Table:
    """Every window of the rows."""
    extractor = FeatureExtractor(spec)
    documented = [i for i, feature in enumerate(spec.features) if feature.name in DOCUMENTED]
    counted = [i for i, feature in enumerate(spec.features) if feature.scored is not None]
    wanted = frozenset(spec.programs)
    found = list(windows((row for row in rows if row[3] in wanted), extractor))
    values = np.nan_to_num(np.array([window.short for window in found]))
    return Table(
        [w.host for w in found], np.array([w.start for w in found]), values[:, documented],
        np.log2(1 + np.maximum(values[:, counted], 0)),
    )  # fmt: skip


def flag_all(_train: Floats, _seed: int) -> Score:
    return lambda x: np.ones(len(x))


def forest(train: Floats, seed: int) -> Score:
    scale = StandardScaler().fit(train)
    fitted = IsolationForest(n_estimators=100, random_state=seed).fit(scale.transform(train))
    return lambda x: -fitted.score_samples(scale.transform(x))


def pca(train: Floats, seed: int) -> Score:
    """Residual beyond the components that hold 95 % of the variance (Xu et al. 2009)."""
    scale = StandardScaler().fit(train)
    fitted = PCA(0.95, random_state=seed).fit(scale.transform(train))

    def score(x: Floats) -> Floats:
        z = scale.transform(x)
        residual: Floats = np.square(z - fitted.inverse_transform(fitted.transform(z))).sum(1)
        return residual

    return score


def nearest(train: Floats, _seed: int) -> Score:
    """Distance of the count vector to the nearest training window."""
    known = np.unique(np.round(train, 2), axis=0)
    return lambda x: np.array([np.abs(known - row).sum(1).min() for row in x])


def surprise(seasonal: bool, broad: bool) -> Callable[[Floats, int], Score]:
    """How improbable the most improbable count is for its host, and hour of the day: a Poisson tail, or the broader
    negative binomial one where counts vary more than Poisson's. Hours with few windows lean on the host's whole day."""

    def make(train: Floats, _seed: int) -> Score:
        def moments(rows: Floats) -> tuple[Floats, Floats]:
            return (rows.sum(0) + 0.1) / (len(rows) + 1), rows.var(0)

        whole = {host: moments(train[train[:, 0] == host, 2:]) for host in np.unique(train[:, 0])}
        other = moments(train[:, 2:])
        hours = {
            (host, hour): (len(mine), mine[:, 2:].sum(0))
            for host in whole
            for hour in range(24)
            if len(mine := train[(train[:, 0] == host) & (train[:, 1] == hour)])
        }

        def score(x: Floats) -> Floats:
            return np.array([tail(row) for row in x])

        def tail(row: Floats) -> float:
            mean, variance = whole.get(row[0], other)
            if seasonal:
                count, total = hours.get((row[0], row[1]), (0, np.zeros_like(mean)))
                mean = (total + LEAN * mean) / (count + LEAN)
            logs = poisson.logsf(row[2:] - 1, mean)
            if broad:
                wide = variance > mean
                size = mean**2 / np.where(wide, variance - mean, 1)
                logs = np.where(wide, nbinom.logsf(row[2:] - 1, size, size / (size + mean)), logs)
            return float(-logs.min())

        return score

    return make


PEERS: tuple[tuple[str, str, Callable[[Floats, int], Score]], ...] = (
    ("flag every window", "counts", flag_all),
    ("features of a first sketch, isolation forest", "features", forest),
    ("counts, isolation forest", "counts", forest),
    ("counts, PCA residual", "counts", pca),
    ("counts, distance to nearest", "counts", nearest),
    ("counts of a host, Poisson tail", "placed", surprise(seasonal=False, broad=False)),
    ("counts of a host, negative binomial tail", "placed", surprise(seasonal=False, broad=True)),
    ("counts of a host and hour, negative binomial tail", "placed", surprise(seasonal=True, broad=True)),
)


def run_peer(
    which: str,
    make: Callable[[Floats, int], Score],
    calm: Table,
    logs: list[tuple[Evaluation, Table]],
    seed: int,
) -> Found:
    """A peer's incidents on all logs."""
    train, odd = getattr(calm, which), calm.starts // 86_400 % 2 == 1
    unseen = np.concatenate([make(train[~part], seed)(train[part]) for part in (odd, ~odd)])
    score, line = make(train, seed), -1.0 if make is flag_all else float(np.quantile(unseen, QUANTILE))
    total = Found()
    for log, table in logs:
        total = total.add(judge(log, _incidents(table, score(getattr(table, which)) > line)))
    return total


def _incidents(table: Table, flagged: npt.NDArray[np.bool_]) -> list[Incident]:
    """Runs of flagged windows of a host, gaps of half an hour merged."""
    found: dict[str, list[list[float]]] = {}
    for i in np.flatnonzero(flagged):
        runs = found.setdefault(table.hosts[i], [])
        start = float(table.starts[i])
        if runs and start - runs[-1][1] <= 1800:
            runs[-1][1] = start + 300
        else:
            runs.append([start, start + 300])
    kind = {"unusual": Kind(1, 0.5, 1, "")}
    return [
        Incident(f"peer/{host}/{start}", "peer", host, start, start, end, 1, None, None, kind, "model")
        for host, runs in found.items()
        for start, end in runs
    ]
