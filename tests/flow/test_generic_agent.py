"""An agent without patterns: shapes of real lines are mined, travel in the bundle, and find what is unusual."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shared.agent import AgentSpec, builtin_agents
from shared.errors import TrainingError
from shared.frame import open_export, parse_time
from shared.judge import Judge, replay
from shared.model import Model, load_model
from shared.values import Row
from tests.rows import row
from trainer.model_config import load_model_config
from trainer.pipeline import train
from trainer.windows.mine import masked, mined

EXAMPLES = Path(__file__).parents[2] / "examples"
GENERIC = builtin_agents()["generic"]


@pytest.fixture(scope="module")
def model() -> Model:
    """A model of real hostapd and wpa_supplicant lines, which the agent knows nothing about."""
    config = load_model_config(None, {"evaluation.inject": False})
    return load_model(train([EXAMPLES / "wifi-train.csv.gz"], GENERIC, config).files)


def test_the_bundle_holds_the_shapes_as_patterns(model: Model) -> None:
    assert {"hostapd", "wpa_supplicant"} <= set(model.spec.programs)
    assert sum(event.name.startswith("shape_") for event in model.spec.events) >= 20


def test_nearly_every_line_has_a_shape(model: Model) -> None:
    parser = model.extractor().parser
    rows = list(open_export(EXAMPLES / "wifi-train.csv.gz").rows())
    unknown = sum(parser.parse(r[3], r[5], r[6]).event == "unknown" for r in rows)
    assert unknown <= 0.02 * len(rows)


def test_attacks_on_real_access_points_are_found_without_a_word_about_wifi(model: Model) -> None:
    episodes = json.loads((EXAMPLES / "episodes.json").read_text())
    episodes = episodes["episodes"] if isinstance(episodes, dict) else episodes
    odd = [v for v in replay(open_export(EXAMPLES / "wifi-live.csv.gz").rows(), Judge(model)) if v.is_anomaly]
    found = [
        any(v.window_start <= parse_time(one["end"]) + 300 and v.window_end >= parse_time(one["start"]) for v in odd)
        for one in episodes
    ]
    assert sum(found) >= 0.6 * len(found)
    assert all(v.explanation for v in odd)


def spec_of(*messages: str) -> AgentSpec:
    rows: list[Row] = [row(n, text, "www", "nginx") for n, text in enumerate(messages * 5)]
    return mined(GENERIC, rows)


def test_names_addresses_and_values_do_not_travel() -> None:
    lines = ("session opened for user alice(uid=1000)", "GET from 192.0.2.9 agent='Mozilla' host www", "disk www ok")
    text = spec_of(*lines).raw.decode()
    for secret in ("alice", "192.0.2.9", "Mozilla", "www"):
        assert secret not in text.split("events:")[1]


def test_brackets_and_braces_of_a_message_are_taken_literally() -> None:
    spec = spec_of("odd (text) + more? ^ \\ | $ end", "odd {curly} text")
    assert len(spec.events) == 3


def test_a_log_without_rows_is_refused_with_the_reason() -> None:
    with pytest.raises(TrainingError, match="not one row"):
        mined(GENERIC, [])


def test_masking_leaves_the_words() -> None:
    assert masked("link eth0 up after 12.5s at /dev/x (id=5)") == "link <*> up after <*> at <*> (id=<*>"
