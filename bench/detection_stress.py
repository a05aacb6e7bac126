"""The same network otherwise: other sizes, platforms, clocks and histories, and training data that is not clean.

Overlays and drops imitate other networks; they are none. Each case changes the calm log, the judged one, or both.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from bench.detection_data import Corpus, Episode, Evaluation, Rows
from shared.values import Row

MAC = re.compile(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}")
LOGGER = re.compile(r"STA \S+ (?:IEEE 802\.1|WPA: |RADIUS: )|: WPA |: IEEE 802")
DAY_S = 86_400.0
POISON_SHARE = 0.05

Change = Callable[[Corpus, Rows], Rows]


def same(_corpus: Corpus, rows: Rows) -> Rows:
    return rows


@dataclass(frozen=True)
class Case:
    """How the calm log is changed, and how the judged ones are."""

    name: str
    calm: Change = same
    judged: Change = same


def in_time(rows: Iterable[Row]) -> Rows:
    return sorted(rows, key=lambda row: row[1])


def is_ap(row: Row) -> bool:
    return row[3] == "hostapd"


def access_points_only(_corpus: Corpus, rows: Rows) -> Rows:
    return [row for row in rows if is_ap(row)]


def stations_only(_corpus: Corpus, rows: Rows) -> Rows:
    return [row for row in rows if not is_ap(row)]


def stock_debian(_corpus: Corpus, rows: Rows) -> Rows:
    """`hostapd -B` without -s: only hostapd_logger's lines reach the log."""
    return [row for row in rows if not is_ap(row) or LOGGER.search(row[6])]


def stock_access_points(corpus: Corpus, rows: Rows) -> Rows:
    return access_points_only(corpus, stock_debian(corpus, rows))


def whole_seconds(_corpus: Corpus, rows: Rows) -> Rows:
    return [(row[0], float(int(row[1])), *row[2:]) for row in rows]


def logged_twice(_corpus: Corpus, rows: Rows) -> Rows:
    """In the foreground under systemd hostapd_logger's lines come from stdout and from syslog."""
    again = [(row[0], row[1] + 0.001, *row[2:]) for row in rows if is_ap(row) and LOGGER.search(row[6])]
    return in_time([*rows, *again])


def openwrt(_corpus: Corpus, rows: Rows) -> Rows:
    def line(message: str) -> str:
        message = re.sub(r"\bwlan(\d)", r"phy\1-ap0", message)
        return message + " auth_alg=open" if "AP-STA-CONNECTED" in message else message

    return [(*row[:6], line(row[6])) if is_ap(row) else row for row in rows]


def upper_case(_corpus: Corpus, rows: Rows) -> Rows:
    return [(*row[:6], MAC.sub(lambda found: found[0].upper().replace(":", "-"), row[6])) for row in rows]


def renamed(_corpus: Corpus, rows: Rows) -> Rows:
    """The log of other hosts than those that are judged."""
    return [(*row[:2], "old-" + row[2], *row[3:]) for row in rows]


def others(message: str, copy: int) -> str:
    """The message of another client: addresses with another last byte."""
    return MAC.sub(lambda found: found[0][:-2] + f"{(int(found[0][-2:], 16) + 61 * copy) % 256:02x}", message)


def busier(corpus: Corpus, rows: Rows) -> Rows:
    """Three times the clients: two further copies of the calm log's access point lines, of other days and addresses."""
    calm, first, last = [row for row in corpus.calm if is_ap(row)], rows[0][1], rows[-1][1]
    begin, length = corpus.calm[0][1] // DAY_S * DAY_S, 7 * DAY_S
    turn = (first - begin) // length * length
    extra = [
        (row[0], moved, *row[2:6], others(row[6], copy))
        for copy in (1, 2)
        for row in calm
        for shift in (0.0, length)
        if first <= (moved := begin + (row[1] - begin + copy * 2 * DAY_S) % length + turn + shift) < last
        and not hangs(corpus, row[2], moved)
    ]
    return in_time([*rows, *extra])


def hangs(corpus: Corpus, host: str, time: float) -> bool:
    """Whether a host is silent at a moment: what is laid over must not speak for it."""
    return any(
        e.visible == "silence" and e.host == host and e.start <= time <= e.end
        for log in corpus.evaluations
        for e in log.episodes
    )


def quieter(seed: int) -> Change:
    """Three of ten clients, drawn anew: lines about the others and their own logs are gone."""

    def change(corpus: Corpus, rows: Rows) -> Rows:
        rng = random.Random(seed)
        macs = {mac for row in corpus.calm if is_ap(row) for mac in MAC.findall(row[6])}
        gone = {mac for mac in sorted(macs) if rng.random() > 0.3}
        stations = {row[2] for row in corpus.calm if not is_ap(row)}
        away = {host for host in sorted(stations) if rng.random() > 0.3}
        return [row for row in rows if row[2] not in away and not (is_ap(row) and gone & set(MAC.findall(row[6])))]

    return change


def last_days(days: float) -> Change:
    def change(corpus: Corpus, rows: Rows) -> Rows:
        since = rows[-1][1] - days * DAY_S
        return [row for row in rows if row[1] >= since]

    return change


def spliced(log: Evaluation, chosen: Iterable[Episode], calm: Rows, places: Iterable[float]) -> Rows:
    """The calm log with episodes laid into it at `places` (s); what the calm log says meanwhile stays."""
    rows = list(calm)
    for episode, place in zip(chosen, places, strict=False):
        shift = place - episode.start
        rows += [
            (row[0], row[1] + shift, *row[2:])
            for row in log.rows
            if row[2] in episode.touched and episode.start - 5 <= row[1] <= episode.end + 30
        ]
    return in_time(rows)


def poisoned(source: int, seed: int) -> Change:
    """Attacks in 5 % of the access points' windows of the training week, from another evaluation than the judged one."""

    def change(corpus: Corpus, rows: Rows) -> Rows:
        rng, log = random.Random(seed), corpus.evaluations[source]
        visible = [one for one in log.episodes if one.visible == "yes"]
        first, last = rows[0][1], rows[-1][1]
        aps = len({row[2] for row in rows if is_ap(row)})
        room, chosen = POISON_SHARE * aps * (last - first), list[Episode]()
        while room > 0:
            rng.shuffle(visible)
            for one in visible:
                chosen.append(one)
                room -= one.end - one.start + 300
                if room <= 0:
                    break
        places = sorted(rng.uniform(first, last - 3600) for _ in chosen)
        return spliced(log, chosen, rows, places)

    return change


def cut_into_an_attack(at_end: bool) -> Change:
    """The training log begins, or ends, in the middle of an attack."""

    def change(corpus: Corpus, rows: Rows) -> Rows:
        log = corpus.evaluations[0]
        episode = max((e for e in log.episodes if e.visible == "yes"), key=lambda e: e.end - e.start)
        half = (episode.end - episode.start) / 2
        place = rows[-1][1] - half if at_end else rows[0][1] - half
        first, last = rows[0][1], rows[-1][1]
        return [row for row in spliced(log, [episode], rows, [place]) if first <= row[1] <= last]

    return change


def holiday(_corpus: Corpus, rows: Rows) -> Rows:
    """Nine days without a log after the third day."""
    since = rows[0][1] + 3 * DAY_S
    return [(row[0], row[1] - 9 * DAY_S, *row[2:]) if row[1] < since else row for row in rows]


def hole(_corpus: Corpus, rows: Rows) -> Rows:
    """Two days of the week are missing."""
    first = rows[0][1]
    return [row for row in rows if not 2 * DAY_S <= row[1] - first < 4 * DAY_S]


def other_channels(_corpus: Corpus, rows: Rows) -> Rows:
    """Every access point has moved to a channel that training never saw."""
    return [(*row[:6], re.sub(r"freq=(\d+)", lambda found: f"freq={int(found[1]) + 35}", row[6])) for row in rows]


def first_evaluation(corpus: Corpus) -> tuple[Evaluation, ...]:
    return corpus.evaluations[:1]


CASES = (
    Case("as it is"),
    Case("access points only", access_points_only, access_points_only),
    Case("stock Debian", stock_debian, stock_debian),
    Case("stock Debian, access points only", stock_access_points, stock_access_points),
    Case("stations only", stations_only, stations_only),
    Case("OpenWrt's names", openwrt, openwrt),
    Case("upper case and dashes", upper_case, upper_case),
    Case("whole seconds", whole_seconds, whole_seconds),
    Case("logged twice", logged_twice, logged_twice),
    Case("logged twice, trained on once", same, logged_twice),
    Case("hosts unknown to the model", renamed),
    Case("three times the clients", busier, busier),
    Case("three times, trained on one", same, busier),
    Case("one, trained on three times", busier, same),
    *(Case(f"three of ten clients ({seed})", quieter(seed), quieter(seed)) for seed in (1, 2, 3)),
    *(Case(f"{days} days of history", last_days(days)) for days in (1, 2, 3, 5)),
    Case("nine days without a log in training", holiday),
    Case("two days of training missing", hole),
    Case("other channels than in training", same, other_channels),
    Case("begins in an attack", cut_into_an_attack(at_end=False)),
    Case("ends in an attack", cut_into_an_attack(at_end=True)),
)
POISON = tuple(
    (source, seed) for source in (0, 1) for seed in (1, 2, 3)
)  # judged on the evaluation that is not the source
