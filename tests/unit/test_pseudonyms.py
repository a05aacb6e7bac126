"""One site's identities do not travel: what names people, devices and places is replaced, in agents of one's own too."""

from __future__ import annotations

import yaml

from shared.agent import AgentSpec, builtin_agents, parse_agent
from shared.events import EventParser
from trainer.fitting.pseudonyms import Pseudonyms

DOOR = {
    "name": "door", "version": 1, "title": "Doors", "description": "x", "programs": ["doord"],
    "events": [{"name": "opened", "description": "x", "patterns": [
        {"pattern": "^(?P<badge>\\S+) opened by (?P<colour>\\w+) key", "set": {"kind": "opened"}}]}],
    "features": [{"name": "busiest", "title": "x", "description": "x", "formula": "most(opened, by=badge)", "scored": {}}],
}  # fmt: skip


def door() -> AgentSpec:
    return parse_agent(yaml.safe_dump(DOOR).encode(), "door.yaml")


def test_what_an_agent_counts_by_is_replaced_and_the_rest_stays() -> None:
    names = Pseudonyms(door())
    told = [names.message("doord", 6, f"{badge} opened by red key") for badge in ("Ann.Smith", "Bo", "Ann.Smith")]
    assert told == ["badge-1 opened by red key", "badge-2 opened by red key", "badge-1 opened by red key"]
    assert EventParser(door()).parse("doord", 6, told[0]).fields["badge"] == "badge-1"


def test_a_quoted_network_that_looks_like_a_stand_in_of_no_field_is_replaced() -> None:
    names = Pseudonyms(builtin_agents()["wifi"])
    assert "home-24" not in names.message("x", 6, "scanned 'home-24' and \"cafe-7\"")
