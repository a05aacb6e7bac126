"""docs/agents.md is complete and true: every key, function and message is in it, and the example does what it says."""

from __future__ import annotations

import gzip
import importlib.util
import math
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from marshmallow import Schema, fields, missing

from shared import agent_schema, events, panes, patterns, rules
from shared.agent import AgentSpec, load_agents, parse_agent
from shared.errors import ConfigError
from shared.events import EventParser
from shared.features import FeatureExtractor, windows
from shared.formulas import formula
from shared.formulas.lexicon import Lexicon
from shared.formulas.vocabulary import FUNCTIONS, compile_formula
from shared.frame import open_export
from shared.judge import Judge, replay
from shared.model import load_model
from shared.values import Verdict, iso
from tests.agent_page import EXAMPLE, PAGE, code, first_file, lines_table, page_blocks, table, week
from trainer import pipeline
from trainer.cli import cli
from trainer.doubts import doubts
from trainer.model_config import load_model_config
from trainer.pipeline import train
from trainer.validate import validate
from trainer.windows import mine

TEXT = (EXAMPLE / "dhcp.yaml").read_bytes()
SECTIONS: dict[str, type[Schema]] = {
    "file": agent_schema.AgentSchema,
    "roles": agent_schema._Role,
    "events": agent_schema._Event,
    "patterns": agent_schema._Pattern,
    "features": agent_schema._Feature,
    "scored": agent_schema._Scored,
    "rules": agent_schema._Rule,
    "silence": agent_schema._Silence,
    "heartbeats": agent_schema._Heartbeat,
}


@pytest.fixture(scope="module")
def spec() -> AgentSpec:
    return load_agents([EXAMPLE])["dhcp"]


# -- the reference ---------------------------------------------------------------------------------------------------


def default_of(field: fields.Field[Any]) -> str:
    """A key's default as the page writes it."""
    if field.required:
        return "needed"
    default = field.load_default
    assert default is not missing
    value = default() if callable(default) else default
    if value in (None, ""):
        return "none"
    return f"`{value:g}`" if isinstance(value, int | float) else f"`{value}`"


@pytest.mark.parametrize("section", SECTIONS)
def test_every_key_of_the_file_is_described_with_its_default(section: str) -> None:
    schema = SECTIONS[section]()
    known = {entry.data_key or name: default_of(entry) for name, entry in schema.fields.items()}
    assert {code(row[0]): row[1] for row in table(f"keys: {section}")} == known


def test_no_part_of_the_schema_is_left_out() -> None:
    parts = {
        one for one in vars(agent_schema).values() if isinstance(one, type) and issubclass(one, agent_schema._Strict)
    }
    assert parts - {agent_schema._Strict} == set(SECTIONS.values())


def test_every_function_is_described() -> None:
    assert {code(row[0]).partition("(")[0] for row in table("functions")} == set(FUNCTIONS)


@pytest.fixture(scope="module")
def bare(spec: AgentSpec) -> FeatureExtractor:
    """The agent with the page's formulas as its features."""
    made = [
        {"name": f"row{n}", "title": "x", "description": "x", "formula": code(row[0])}
        for n, row in enumerate(table("functions"))
    ]
    data = yaml.safe_load(TEXT.replace(b"  ON:", b"  IF:").replace(b"{ON}", b"{IF}"))
    text = yaml.safe_dump({**data, "features": made, "rules": [], "explains": {}}).encode()
    return FeatureExtractor(parse_agent(text, "the page's formulas"))


def test_a_function_gives_what_the_page_says_where_nothing_is_there(bare: FeatureExtractor) -> None:
    (window,) = windows([(1, 1_773_144_042.0, "gw", "dnsmasq-dhcp", "", -1, "something that nobody knows")], bare)
    found = {code(row[0]): value for row, value in zip(table("functions"), window.short, strict=True)}
    said = {code(row[0]): row[3] for row in table("functions")}
    told = {text: "missing" if math.isnan(value) else f"{value:g}" for text, value in found.items()}
    assert {text: told[text] for text, each in said.items() if each != "–"} == {
        text: each for text, each in said.items() if each != "–"
    }
    assert [text for text, each in said.items() if each == "–" and told[text] == "missing"] == []


@pytest.mark.parametrize("row", table("functions"), ids=lambda row: code(row[0]))
def test_a_function_reaches_the_half_hour_as_the_page_says(row: list[str], spec: AgentSpec) -> None:
    made = compile_formula(code(row[0]), Lexicon(spec))
    assert row[4] == ("sum" if made.additive else "shown" if made.needs_order else "anew")


def test_every_word_of_rules_is_described_and_compiles(spec: AgentSpec) -> None:
    words = [code(row[0]) for row in table("words")]
    described = {word.partition("(")[0] for word in words}
    assert rules._FUNCTIONS - {"and", "or", "not", "times"} <= described
    assert "times=3" in PAGE.read_text()
    for word in words:
        changed = TEXT.replace(b"level: over(unserved, 20, 100)", f"level: {word}".encode())
        assert changed != TEXT
        parse_agent(changed, word)


def test_the_limits_that_the_page_names_are_those_of_the_code() -> None:
    text = " ".join(PAGE.read_text(encoding="utf-8").split())
    for words in (
        f"each of the {mine.MOST_SHAPES} commonest",
        f"how often the {mine.MOST_SCORED} commonest are said",
        f"over {panes.MAX_CELLS:,} different messages, or {panes.MAX_ORDERED:,} lines of events",
        f"refused above {patterns.MAX_REPEAT} because",
        f"Lines are read up to {events.MAX_MESSAGE:,} characters",
        f"At most {formula.MAX_LENGTH} characters",
        f"fewer than {pipeline.LEAST_WINDOWS} windows",
        f"up to {('one', 'two', 'three', 'four', 'five', 'six')[events._MAX_LEADERS - 1]} times",
    ):
        assert words in text


# -- the example -----------------------------------------------------------------------------------------------------


def test_the_page_shows_the_whole_file_of_the_example() -> None:
    shown = "\n".join(page_blocks("yaml"))
    assert [line for line in shown.splitlines() if line] == [line for line in TEXT.decode().splitlines() if line]


def test_there_is_nothing_to_doubt_in_the_example(spec: AgentSpec) -> None:
    assert doubts(spec) == []


@pytest.mark.parametrize("row", lines_table(), ids=lambda row: code(row[0])[:40])
def test_a_line_is_read_as_the_page_says(row: list[str], spec: AgentSpec) -> None:
    parsed = EventParser(spec).parse("dnsmasq-dhcp", 6, code(row[0]))
    assert parsed.event == code(row[1])
    told = " ".join(f"{name}={value}" for name, value in parsed.fields.items())
    assert (code(row[2]) if row[2] else "") == told


def told_by_validate(folder: Path, text: bytes, monkeypatch: pytest.MonkeyPatch) -> str:
    """What `pipit-trainer validate` prints of the week with an agent file."""
    (folder / "dhcp.yaml").write_bytes(text)
    monkeypatch.setenv("TRAINING_AGENTS_DIR", str(folder))
    done = CliRunner().invoke(cli, ["validate", str(week()), "--agent", "dhcp"])
    assert done.exit_code == 0, done.output
    return "\n".join(line.rstrip() for line in done.output.splitlines())


def test_validating_the_first_file_shows_the_shapes_that_the_page_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert page_blocks("text")[0].rstrip() in told_by_validate(tmp_path, first_file(), monkeypatch)


def test_validate_asks_about_what_a_writer_hardly_means(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = edited("by=mac, at_least=1", "by=mcc, at_least=1")
    assert "no pattern fills the field 'mcc'" in told_by_validate(tmp_path, text, monkeypatch)


def test_under_one_per_cent_of_the_week_is_unknown_to_the_finished_file(spec: AgentSpec) -> None:
    assert validate(week(), spec).unknown_share < 0.01


@pytest.fixture(scope="module")
def verdicts(spec: AgentSpec) -> list[Verdict]:
    config = load_model_config(None, {"evaluation.inject": False})
    judge = Judge(load_model(train([week()], spec, config).files))
    return list(replay(open_export(EXAMPLE / "dhcp-day.csv.gz").rows(), judge))


def test_the_odd_day_is_found_and_named_as_the_page_says(verdicts: list[Verdict]) -> None:
    first: dict[tuple[str, str], str] = {}
    for verdict in verdicts:
        if verdict.is_anomaly:
            first.setdefault((verdict.host, str(verdict.type)), iso(verdict.window_start))
    told = [line.split() for line in page_blocks("text")[1].splitlines()]
    assert [(start, host, kind) for (host, kind), start in first.items()] == [(a, b, c) for a, b, c in told]


def test_the_example_logs_are_what_their_maker_makes() -> None:
    made = maker()
    for name, lines in made.FILES.items():
        assert gzip.decompress((EXAMPLE / name).read_bytes()).decode() == made.as_csv(lines())


def maker() -> ModuleType:
    """examples/agents/make_dhcp_log.py."""
    found = importlib.util.spec_from_file_location("make_dhcp_log", EXAMPLE / "make_dhcp_log.py")
    assert found
    assert found.loader
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


# -- the messages ----------------------------------------------------------------------------------------------------


def edited(old: str, new: str) -> bytes:
    """The example with one text in another's place."""
    assert old in TEXT.decode(), old
    return TEXT.decode().replace(old, new, 1).encode()


MISTAKES = [
    edited("    title: Log lines", "    titel: Log lines"),
    edited("    title: Log lines\n", ""),
    edited("name: dhcp", "name: My-DHCP"),
    edited("patterns: ['^DHCPOFFER{ON} {IP} {MAC}']", "patterns: [^DHCPOFFER{ON}: {IP} {MAC}"),
    TEXT + b"\nevents: []\n",
    edited("patterns: ['^DHCPOFFER{ON} {IP}", "patterns: ['^DHCPOFFER{ON} {IPV4}"),
    edited("'^DHCPOFFER{ON}", "'^DHCPOFFER(?!X){ON}"),
    edited("'^DHCPOFFER{ON}", "'^DHCPOFFER.{0,40}{ON}"),
    edited("'^DHCPOFFER{ON}", "'^DHCPOFFER(?:\\w+ )*\\w+{ON}"),
    edited("formula: count(nak)", "formula: count(discovery)"),
    edited("formula: count(nak)", "formula: count(discover.odd)"),
    edited("formula: count(nak)", "formula: cuont(nak)"),
    edited("formula: count(nak)", "formula: discover"),
    edited("formula: count(nak)", "formula: most(nak)"),
    edited("formula: count(nak)", "formula: mean(nak, field=reason)"),
    edited("formula: count(nak)", "formula: excess(nak, by=mac) + 1"),
    edited("over(refused, 10, 40)", "over(asked, 10, 40)"),
    edited("{asking} devices", "{asking:.1f} devices"),
    edited("{asking} devices", "{nobody} devices"),
    edited("    role: server", "    role: client"),
    edited("dhcp_starvation: [dhcp_pool_empty", "dhcp_starvation: [dhcp_empty"),
    edited("by=mac, at_least=1", "by=mcc, at_least=1"),
    edited("programs: [dnsmasq-dhcp]\nroles", "programs: [dnsmasq]\nroles"),
    edited("'^failed to", "'failed to"),
    TEXT.replace(b"    scored:", b"    unit: x #").replace(b"    unit: lines\n", b"").replace(b"    unit: devices\n", b"")
    .replace(b"    unit: requests\n", b""),
    edited("formula: lines()", "formula: excess(discover, by=mac)").replace(b"count(nak)", b"excess(nak, by=mac)"),
]  # fmt: skip


def everything_said() -> Iterator[str]:
    """What is said of each mistake, and of a name that is taken."""
    for text in MISTAKES:
        try:
            yield "\n".join(doubts(parse_agent(text, "dhcp.yaml")))
        except ConfigError as error:
            yield str(error)


def test_every_message_of_the_page_is_one_that_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(TEXT)
    (tmp_path / "b.yaml").write_bytes(TEXT)
    with pytest.raises(ConfigError) as taken:
        load_agents([tmp_path])
    said = "\n".join([*everything_said(), str(taken.value)])
    told = [code(row[0]).removesuffix("…").strip() for row in table("refusals")]
    assert [message for message in told if message not in said] == []


def test_every_mistake_above_is_told() -> None:
    assert [text for text, said in zip(MISTAKES, everything_said(), strict=True) if not said] == []
