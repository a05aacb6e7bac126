"""What writers of agent files get wrong, and that they are told where and what to do, before a Pi meets it."""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.agent import AgentSpec, builtin_agents, parse_agent
from shared.errors import ConfigError, TrainingError
from shared.reference import NOTHING_KNOWN
from trainer.config import Settings
from trainer.doubts import doubts
from trainer.web.room import Room
from trainer.windows.table import tabulate

FILE = Path(__file__).parents[2] / "examples/agents/dhcp.yaml"
GOOD = parse_agent(FILE.read_bytes(), "dhcp.yaml")
DATA: dict[str, Any] = yaml.load(FILE.read_text(), Loader=yaml.BaseLoader)  # noqa: S506  (texts alone; nothing is made)


def faults(**changes: Any) -> str:
    """The faults of the example with some of its entries changed, a line each."""
    data = {**copy.deepcopy(numbered(DATA)), **changes}
    with pytest.raises(ConfigError) as caught:
        parse_agent(yaml.safe_dump(data).encode(), "dhcp.yaml")
    return "\n".join(caught.value.faults)


def numbered(value: Any) -> Any:
    """BaseLoader's texts as the numbers that they are."""
    if isinstance(value, dict):
        return {key: numbered(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [numbered(inner) for inner in value]
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value


def with_formula(formula: str, **more: Any) -> dict[str, Any]:
    feature = {"name": "mine", "title": "Mine", "description": "x", "formula": formula, **more}
    return {"features": [*numbered(DATA)["features"], feature]}


def with_rule(**changes: Any) -> dict[str, Any]:
    rules = numbered(DATA)["rules"]
    return {"rules": [{**rules[0], **changes}, *rules[1:]]}


def test_words_like_on_and_no_are_names_and_not_true_and_false() -> None:
    text = FILE.read_text().replace("  ON:", "  NO:").replace("{ON}", "{NO}").replace("name: offer", "name: off")
    assert parse_agent(text.encode(), "x").events[1].name == "off"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (with_formula("cuont(discover)"), "feature mine: unknown function 'cuont'; there are lines, "),
        (with_formula("count(discovery)"), "feature mine: no event is called 'discovery'"),
        (with_formula("count(discover.odd)"), "event discover has no kind 'odd'"),
        (with_formula("most(discover)"), "feature mine: most needs by="),
        (with_formula("discover"), "write count(discover)"),
        (
            with_formula("unfinished(discover, begun=[discover], done=[ack], by=mac)"),
            "unfinished takes no event: name them in begun= and done=",
        ),
        (with_formula("unannounced(discover, start=[discover], stop=[ack], within_s=5)"), "in start= and stop="),
        (with_formula("session_time(discover, open=[discover], close=[ack], by=mac)"), "in open= and close="),
        (with_formula("count(class)"), "class cannot be a name here"),
        (with_formula("mean(ack, field=ip)", scored={}), "can be neither scored nor used in a rule"),
        (with_formula("lines()", hint="x"), "features[10].hint: is no key here; there are name, title, "),
        (with_formula("lines()", scored={"hint": "<b>"}), "features[10].scored.hint: must be lower case"),
        (with_rule(type="Odd Type"), "rules[0].type: must be lower case"),
        (with_rule(level="max()"), "rule dhcp_starvation: max needs something"),
        (with_rule(level="over(asking)"), "there are over(feature, floor, cap)"),
        (with_rule(level="over(asked, 1, 2)"), "rule dhcp_starvation: no feature is called 'asked'"),
        (with_rule(description="{asking:>999999999}"), "a name in braces stands alone"),
        (with_rule(description="{asking!r}"), "a name in braces stands alone"),
        (with_rule(description="{minutes}"), "{minutes} is no feature"),
        (with_rule(description="50 {"), "a brace that is meant is written twice"),
        ({"programs": ["*", "dnsmasq-dhcp"]}, "'*' stands for all of them"),
        ({"silence": {**numbered(DATA)["silence"], "joined": ["acked"]}}, "silence.joined: no event is called 'acked'"),
        ({"silence": {**numbered(DATA)["silence"], "description": "{asking}"}}, "knows {host} and {minutes}"),
        ({"events": [{"name": "a", "description": "x", "patterns": ["^a(?!b)"]}]}, "RE2 has no look-ahead"),
        ({"events": [{"name": "a", "description": "x", "patterns": [{"set": {}}]}]}, "patterns[0].pattern: Missing"),
        (
            {"events": [{"name": "a", "description": "x", "patterns": [{"pattern": "^a", "set": {"kind": 5}}]}]},
            "events[0].patterns[0].set.kind: Not a valid string",
        ),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place_and_the_way_out(changes: dict[str, Any], told: str) -> None:
    assert told in faults(**changes)


@pytest.mark.parametrize("name", ["host", "minutes", "role"])
def test_a_feature_cannot_take_a_name_that_texts_and_tables_use(name: str) -> None:
    features = [{**numbered(DATA)["features"][0], "name": name}]
    assert "means something else" in faults(features=features, rules=[], explains={})


def test_faults_of_formulas_and_rules_are_told_together() -> None:
    told = faults(**with_formula("cuont(ack)"), **with_rule(level="over(asked, 1, 2)"))
    assert "feature mine" in told
    assert "rule dhcp_starvation" in told


def test_an_agent_has_one_habit_that_training_learns() -> None:
    first = {"name": "first", "title": "x", "description": "x", "formula": "excess(discover, by=mac)"}
    features = [*numbered(DATA)["features"], first, {**first, "name": "second", "formula": "excess(ack, by=name)"}]
    assert "feature second: an agent has one excess" in faults(features=features)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (with_formula("unique(by=mcc)"), "feature mine: no pattern fills the field 'mcc'; there are iface, ip, "),
        (with_formula("count(nak, raeson__not=[x])"), "no pattern fills the field 'raeson'"),
        (with_formula("last(ack, field=level)"), "no pattern fills the field 'level'"),
        ({"silence": {**numbered(DATA)["silence"], "key": "device"}}, "silence.key: no pattern fills the field 'device'"),
        ({"roles": [{"name": "server", "title": "x", "programs": ["dnsmasq"]}]}, "'dnsmasq' is not among the agent's"),
        ({"events": [*numbered(DATA)["events"], {"name": "a", "description": "x", "patterns": ["odd"]}]}, "begin it with ^"),
    ],
)  # fmt: skip
def test_what_a_writer_hardly_means_is_doubted_and_not_refused(changes: dict[str, Any], told: str) -> None:
    data = yaml.safe_dump({**copy.deepcopy(numbered(DATA)), **changes})
    assert [doubt for doubt in doubts(parse_agent(data.encode(), "x")) if told in doubt]


@pytest.mark.parametrize("spec", [*builtin_agents().values(), GOOD], ids=lambda spec: spec.name)
def test_there_is_nothing_to_doubt_about_the_agents_that_come_along(spec: AgentSpec) -> None:
    assert doubts(spec) == []


def test_an_agent_that_scores_nothing_is_doubted_and_cannot_be_trained() -> None:
    features = [{key: value for key, value in one.items() if key != "scored"} for one in numbered(DATA)["features"]]
    spec = parse_agent(yaml.safe_dump({**numbered(DATA), "features": features, "explains": {}}).encode(), "x")
    assert any("none is scored for the role server" in doubt for doubt in doubts(spec))
    rows = [(n, n * 60.0, "gw", "dnsmasq-dhcp", "", 6, "DHCPOFFER(eth0) 192.0.2.7 00:00:5e:00:53:07") for n in range(9)]
    with pytest.raises(TrainingError, match="give one `scored"):
        tabulate(rows, spec, NOTHING_KNOWN)


@pytest.mark.parametrize("ending", ["yaml", "yml"])
def test_the_trainers_pages_read_a_mended_file_again(tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"dhcp.{ending}"
    file.write_bytes(FILE.read_bytes())
    room = Room(Settings(agents_dir=tmp_path), lambda: 0.0, lambda: None)
    assert room.agents()["dhcp"].version == 1
    file.write_bytes(FILE.read_bytes().replace(b"version: 1", b"version: 2"))
    os.utime(file, (1, 1))
    assert room.agents()["dhcp"].version == 2
