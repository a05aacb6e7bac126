"""`python -m bench.aminer FOLDER [CORPUS]`: AMiner's own detectors on the corpus of bench.detection, for docs/comparison.md.

FOLDER is where the package logdata-anomaly-miner keeps its programs (Debian: /usr/lib/logdata-anomaly-miner; it also needs
python3-cerberus and python3-tz). Its detectors are run as they are, in this process, and get what a person would otherwise
have to write a parser for: host and event of each line, as Pipit's patterns read them. They learn the calm log first.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from bench.detection_data import Evaluation, Found, Rows, judge, load_corpus
from inference.incidents import Incident, Kind
from shared.agent import builtin_agents
from shared.events import EventParser

WIFI = builtin_agents()["wifi"]
SPAN_S, GAP_S = 300, 1800.0
PLACES = ["/host", "/event"]
# windows of history, spreads of the count that are still normal, is a pair never seen before told as well, does it learn on
WAYS = ((50, 3, True, True), (50, 30, False, True), (1_000, 30, False, False))


class Listener:
    """Hears what detectors tell: (host, begin of the window) of each alarm, once the calm log has been learnt."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, float]] | None = None

    def receive_event(self, _kind: str, _text: str, _lines: list[str], data: Any, atom: Any, source: Any) -> None:
        """An alarm of a detector: at the end of a window, or of one line."""
        if self.heard is not None:
            due = getattr(source, "next_check_time", None)
            begin = atom.atom_time // SPAN_S * SPAN_S if due is None else due - 2 * SPAN_S
            self.heard.append((data["AnalysisComponent"]["AffectedLogAtomValues"][0], begin))


def atoms(rows: Rows) -> Iterator[Any]:
    """Lines as AMiner's parsers hand them on."""
    parser = EventParser(WIFI)
    for _, time_s, host, program, _, severity, message in rows:
        if program in WIFI.programs:
            event = parser.parse(program, severity, message).event
            found = {
                place: SimpleNamespace(match_object=word.encode())
                for place, word in zip(PLACES, (host, event), strict=True)
            }
            match = SimpleNamespace(get_match_dictionary=lambda found=found: found)
            yield SimpleNamespace(atom_time=time_s, raw_data=b"", parser_match=match)


def incidents(alarms: Iterable[tuple[str, float]]) -> list[Incident]:
    """Runs of alarms of a host, gaps of half an hour merged."""
    runs: dict[str, list[list[float]]] = {}
    for host, begin in sorted(alarms):
        own = runs.setdefault(host, [])
        if own and begin - own[-1][1] <= GAP_S:
            own[-1][1] = max(own[-1][1], begin + SPAN_S)
        else:
            own.append([begin, begin + SPAN_S])
    kind = {"unusual": Kind(1, 0.5, 1, "")}
    return [
        Incident(f"aminer/{host}/{start}", "aminer", host, start, start, end, 1, None, None, kind, "model")
        for host, own in runs.items()
        for start, end in own
    ]


def run(calm: list[Any], log: Evaluation, history: int, spreads: int, pairs: bool, on: bool) -> Found:
    """One way of using it, on one log."""
    listener, config = Listener(), SimpleNamespace(config_properties={})
    made: Any = import_module("aminer.analysis.EventFrequencyDetector").EventFrequencyDetector
    own: dict[str, Any] = {"learn_mode": True, "output_logline": False, "persistence_id": str(id(listener))}
    detectors = [
        made(config, [listener], target_path_list=PLACES, window_size=SPAN_S, num_windows=history,
             confidence_factor=1 / spreads, empty_window_warnings=False, **own)
    ]  # fmt: skip
    if pairs:
        made = import_module("aminer.analysis.NewMatchPathValueComboDetector").NewMatchPathValueComboDetector
        detectors.append(made(config, PLACES, [listener], **own))
    for atom in calm:
        for detector in detectors:
            detector.receive_atom(atom)
    listener.heard, detectors[0].next_check_time, detectors[0].learn_mode = [], None, on
    for atom in atoms(log.rows):
        for detector in detectors:
            detector.receive_atom(atom)
    return judge(log, incidents(listener.heard))


def main() -> None:
    """Every way, on all logs of the corpus."""
    if not sys.argv[1:]:
        sys.exit(__doc__)
    sys.path[:0] = [sys.argv[1], str(Path(sys.argv[1]).parent / "python3/dist-packages")]
    import_module("aminer.util.PersistenceUtil").load_json = lambda name: None  # nothing of a former run
    corpus = load_corpus(Path(sys.argv[2]) if sys.argv[2:] else None)
    calm = list(atoms(corpus.calm))
    for way in WAYS:
        total = Found()
        for log in corpus.evaluations:
            total = total.add(run(calm, log, *way))
        print(f"{way[0]:,} windows, {way[1]} spreads, {'with' if way[2] else 'without'} new pairs, "
              f"learning {'on' if way[3] else 'no more'}: "
              f"{total.found}/{total.visible} found, {total.silences_found}/{total.silences} silences, "
              f"{total.false} false ({total.false / total.host_weeks:.1f} a host-week), F1 {total.f1:.2f}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
