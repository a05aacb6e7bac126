"""Agent files: what is read, and that every fault of a file is named at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.agent import builtin_agents, load_agents, parse_agent
from shared.errors import ConfigError
from shared.events import EventParser
from shared.patterns import expand, fault_of

SMALL: dict[str, Any] = {
    "name": "door",
    "version": 1,
    "title": "Doors",
    "description": "Who opens which door.",
    "programs": ["doord"],
    "roles": [{"name": "door", "title": "A door", "programs": ["doord"]}],
    "macros": {"WHO": "(?P<who>\\w+)", "P": "^door \\d+: {WHO} "},
    "events": [
        {"name": "opened", "description": "It opened.", "patterns": ["{P}opened"]},
        {
            "name": "refused",
            "description": "It did not.",
            "patterns": [{"pattern": "{P}refused", "set": {"kind": "card"}}, "^alarm"],
        },
    ],
}


@pytest.fixture(scope="module")
def sshd() -> EventParser:
    return EventParser(builtin_agents()["sshd"])


def text(**changes: Any) -> bytes:
    return yaml.safe_dump({**SMALL, **changes}).encode()


def faults(raw: bytes) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        parse_agent(raw, "door.yaml")
    assert caught.value.faults, str(caught.value)
    return caught.value.faults


def test_an_agent_is_read_with_its_macros_expanded_and_its_exact_text_kept() -> None:
    raw = text()
    spec = parse_agent(raw, "door.yaml")
    assert spec.raw == raw
    assert spec.event_names == ("opened", "refused", "unknown")
    assert spec.events[0].patterns == ("^door \\d+: (?P<who>\\w+) opened",)
    assert spec.events[1].sets == ({"kind": "card"}, {})
    assert (spec.window_s, spec.long_windows, spec.grace_s, spec.timezone) == (300, 6, 30, "UTC")
    parsed = EventParser(spec).parse("doord", 6, "door 7: ann refused")
    assert (parsed.event, dict(parsed.fields)) == ("refused", {"who": "ann", "kind": "card"})


def test_the_first_pattern_of_the_file_wins() -> None:
    events = [
        {"name": "narrow", "description": "x", "patterns": ["^a b"]},
        {"name": "wide", "description": "x", "patterns": ["^a"]},
    ]
    parser = EventParser(parse_agent(text(events=events), "x"))
    assert parser.parse("", 6, "a b").event == "narrow"
    assert parser.parse("", 6, "a c").event == "wide"


def test_all_faults_of_a_file_are_named_at_once_with_path_and_value() -> None:
    events = [
        {"name": "Bad Name", "description": "x", "patterns": ["^a"]},
        {"name": "twice", "description": "x", "patterns": ["(?=look)"]},
        {"name": "twice", "description": "x", "patterns": ["^{NOBODY} came", "(a+)+$", "a{0,40}"]},
        {"name": "unknown", "description": "x", "patterns": []},
    ]
    said = "\n".join(faults(text(events=events, window_s=1, colour="red", timezone="Mars/Olympus")))
    for part in (
        "door.yaml: events[0].name: must be lower case",
        "'Bad Name'",
        "events[1] twice.patterns[0]: RE2 refuses",
        "events[2] twice.patterns[0]: the macro {NOBODY} is unknown",
        "events[2] twice.patterns[1]: an unbounded repeat within an unbounded repeat",
        "events[2] twice.patterns[2]: a bounded repeat of 40",
        "events[2].name: 'twice' is used twice",
        "events[3].name: is a class that every agent has",
        "events[3].patterns:",
        "window_s: ",
        "colour: is no key here; there are name, version, ",
        "timezone: is no time zone",
    ):
        assert part in said, part + "\nis not in\n" + said


def test_unknown_keys_anywhere_are_faults() -> None:
    events = [{"name": "a", "description": "x", "patterns": [{"pattern": "^a", "sett": {}}], "colour": 1}]
    said = "\n".join(faults(text(events=events)))
    assert "events[0].colour: is no key here" in said
    assert "sett: is no key here" in said


def test_a_role_that_does_not_exist_is_a_fault() -> None:
    feature = {"name": "n", "title": "N", "description": "x", "role": "roof", "unit": "", "formula": "lines()"}
    assert any("features[0].role: 'roof' is no role" in fault for fault in faults(text(features=[feature])))


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "holds no settings"),
        (b"- a\n- b\n", "holds no settings"),
        (b"name: [", "is not YAML"),
        (b"name: \xff", "not UTF-8"),
        (b"name: a\nname: b\n", "given twice"),
        (b"a: !!python/object/apply:os.system [ls]", "is not YAML"),
        (b"x" * 1_000_001, "at most"),
    ],
)
def test_a_file_that_is_no_agent_says_why(raw: bytes, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse_agent(raw, "door.yaml")


def test_macros_that_refer_to_themselves_are_refused() -> None:
    assert expand("{A}", {"A": "x{A}"})[1] == ["A"]
    assert expand("{A}{0,3}", {"A": "x{B}", "B": "y"}) == ("xy{0,3}", [])


@pytest.mark.parametrize(
    "pattern", ["(a+)+", "(?:a*b?)*", "((?:x{1,5}|y+)z)*", "a{17}", "(?:ab){2,100}", "(?P<x>a)(?P=x)", "a(?!b)", "("]
)
def test_patterns_that_could_stall_the_product_are_refused(pattern: str) -> None:
    assert fault_of(pattern)


@pytest.mark.parametrize("pattern", ["a{16}", "(?:ab){0,16}c*", "(?P<x>a+)b", "^(?:a|b+)$", "(?:a{2}){5}"])
def test_plain_patterns_are_accepted(pattern: str) -> None:
    assert fault_of(pattern) is None


def test_agents_of_a_folder_are_added_and_a_second_one_of_the_same_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "door.yaml").write_bytes(text())
    assert set(load_agents([tmp_path])) == {"door"}
    (tmp_path / "door2.yaml").write_bytes(text())
    (tmp_path / "broken.yml").write_bytes(b"name: 3")
    with pytest.raises(ConfigError) as caught:
        load_agents([tmp_path, tmp_path / "nowhere"])
    said = str(caught.value)
    assert "already the name of the agent in" in said
    assert "broken.yml: version: Missing data" in said
    assert "no such folder" in said


@pytest.mark.parametrize("name", sorted(builtin_agents()))
def test_a_built_in_agent_describes_each_class_and_can_be_parsed_again_from_its_text(name: str) -> None:
    spec = builtin_agents()[name]
    assert spec.name == name
    assert all(event.description for event in spec.events)
    assert parse_agent(spec.raw, "again") == spec


@pytest.mark.parametrize(
    ("message", "event", "fields"),
    [
        (
            "Accepted publickey for ann from 192.0.2.7 port 5 ssh2: ED25519 SHA256:x",
            "ssh_login_ok",
            {"user": "ann", "ip": "192.0.2.7", "method": "publickey"},
        ),
        ("Failed password for root from 192.0.2.9 port 22 ssh2", "ssh_login_fail", {"user": "root", "ip": "192.0.2.9"}),
        ("Failed none for invalid user x from 192.0.2.1 port 1 ssh2", "ssh_invalid_user", {"user": "x"}),
        (
            "Invalid user x from 203.0.113.9 from 192.0.2.9 port 9",
            "ssh_invalid_user",
            {"user": "x from 203.0.113.9", "ip": "192.0.2.9"},
        ),
        ("Invalid user from 192.0.2.9", "ssh_invalid_user", {"ip": "192.0.2.9"}),
        ("input_userauth_request: invalid user web [preauth]", "ssh_invalid_user", {"user": "web"}),
        (
            "pam_unix(sshd:auth): authentication failure; logname= uid=0 tty=ssh ruser= rhost=192.0.2.4  user=root",
            "ssh_pam_fail",
            {"ip": "192.0.2.4", "user": "root"},
        ),
        ("PAM 5 more authentication failures; logname= uid=0 rhost=192.0.2.4", "ssh_pam_fail", {"count": "5"}),
        ("pam_unix(sshd:auth): check pass; user unknown", "ssh_pam_fail", {}),
        ("Disconnecting: Too many authentication failures for root [preauth]", "ssh_too_many", {}),
        (
            "error: maximum authentication attempts exceeded for invalid user a b from 192.0.2.1 port 5 ssh2 [preauth]",
            "ssh_too_many",
            {"user": "a b"},
        ),
        ("Connection closed by 192.0.2.1 [preauth]", "ssh_preauth_close", {"ip": "192.0.2.1"}),
        (
            "Connection reset by invalid user bob 192.0.2.1 port 5 [preauth]",
            "ssh_preauth_close",
            {"ip": "192.0.2.1", "user": "bob"},
        ),
        ("Received disconnect from 192.0.2.1: 11: Bye Bye [preauth]", "ssh_preauth_close", {"ip": "192.0.2.1"}),
        (
            "Received disconnect from 192.0.2.1 port 5:11: disconnected by user",
            "ssh_session_close",
            {"ip": "192.0.2.1"},
        ),
        ("Did not receive identification string from 2001:db8::1 port 4", "ssh_scan", {"ip": "2001:db8::1"}),
        ("Bad protocol version identification 'GET /' from 192.0.2.1 port 4", "ssh_scan", {"ip": "192.0.2.1"}),
        ("kex_exchange_identification: Connection closed by remote host", "ssh_scan", {}),
        ("Unable to negotiate with 192.0.2.1 port 3: no matching cipher found.", "ssh_scan", {"ip": "192.0.2.1"}),
        (
            "reverse mapping checking getaddrinfo for a.example [192.0.2.1] failed - POSSIBLE BREAK-IN ATTEMPT!",
            "ssh_dns_warn",
            {"ip": "192.0.2.1"},
        ),
        (
            "pam_unix(sshd:session): session opened for user ann(uid=1000) by (uid=0)",
            "ssh_session_open",
            {"user": "ann"},
        ),
        ("pam_unix(sshd:session): session closed for user ann", "ssh_session_close", {"user": "ann"}),
        ("fatal: Read from socket failed: Connection reset by peer", "ssh_error", {}),
        ("error: no more sessions", "ssh_error", {}),
        ("Bad password attempt for 'root' from 192.0.2.1:4242", "ssh_login_fail", {"user": "root", "ip": "192.0.2.1"}),
        ("Login attempt for nonexistent user from 192.0.2.1:4242", "ssh_invalid_user", {"ip": "192.0.2.1"}),
        (
            "Pubkey auth succeeded for 'root' with key sha1!! 12:34 from 192.0.2.1:4242",
            "ssh_login_ok",
            {"user": "root"},
        ),
        ("Exit before auth from <192.0.2.1:4242>: Exited normally", "ssh_preauth_close", {"ip": "192.0.2.1"}),
        ("Server listening on 0.0.0.0 port 22.", "other", {}),
    ],
)
def test_ssh_lines_have_their_class_and_fields(
    sshd: EventParser, message: str, event: str, fields: dict[str, str]
) -> None:
    parsed = sshd.parse("sshd", 6, message)
    assert parsed.event == event
    assert fields.items() <= parsed.fields.items()
