"""What the Pi's pages say, in each state that a Pi can be in, and what they do with text that an attacker chose."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from inference import agents, state
from inference.bundles.store import PROBATION, BundleStore
from inference.keeping import reading as state_read
from inference.said import switches
from inference.watching import drifting
from inference.watching.performance import Performance
from inference.web import incident_words, machine_charts
from inference.web.app import create_app
from tests import web_data, web_more, web_states
from tests.web_client import post, signed_in

NOW = web_data.NOW
H1 = re.compile(r"<h1>(.*?)</h1>", re.DOTALL)


def a_site(folder: Path, now: float = NOW) -> FlaskClient:
    return signed_in(create_app(folder, now=lambda: now, place="pi-attic"))


def h1(client: FlaskClient, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, answer.get_data(as_text=True)[:500]
    found = H1.findall(answer.get_data(as_text=True))
    assert len(found) == 1
    return str(found[0])


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Pi that has run for three days; read only."""
    folder = tmp_path_factory.mktemp("pi")
    web_data.fill(folder)
    return folder


@pytest.fixture(scope="module")
def client(filled: Path) -> FlaskClient:
    return a_site(filled)


def test_the_first_line_counts_the_open_incidents(client: FlaskClient) -> None:
    assert h1(client, "/") == "Two incidents are open. The newest began 16 minutes ago."
    assert h1(client, "/?span=7d").startswith("Two incidents")


def test_a_calm_day_says_what_cannot_be_seen(tmp_path: Path) -> None:
    web_data.fill(tmp_path, attacks=(), days=0.5)
    page = a_site(tmp_path).get("/").get_data(as_text=True)
    assert "All is well. Nothing unusual in the last 24 hours." in page
    assert "Not every attack leaves a line" in page


def test_no_incident_open_but_some_ended(tmp_path: Path) -> None:
    web_data.fill(tmp_path, attacks=web_data.ATTACKS[6:8], days=0.5)
    assert h1(a_site(tmp_path), "/") == "No incident is open. Two incidents ended in the last 24 hours."


def test_a_database_that_does_not_answer_is_said_first(tmp_path: Path) -> None:
    web_data.fill(tmp_path, days=0.2)
    web_data.set_status(tmp_path, NOW, source_error="cannot reach db.riverside.lan:5432", last_run=NOW - 840)
    client = a_site(tmp_path)
    assert h1(client, "/") == "The log database has not answered for 14 minutes."
    assert "cannot reach db.riverside.lan:5432" in client.get("/").get_data(as_text=True)


def test_a_daemon_that_is_gone_is_said_first(tmp_path: Path) -> None:
    web_data.fill(tmp_path, days=0.2)
    client = a_site(tmp_path, NOW + 3600)
    assert h1(client, "/") == "The daemon has not been heard for 60 minutes."
    assert client.get("/api/v1/health").get_json()["daemon"] == "dead"


def test_without_a_model_the_next_step_is_shown(tmp_path: Path) -> None:
    state.connect(tmp_path / "state.db").close()
    web_data.set_status(tmp_path, NOW, state="waiting for a model")
    page = a_site(tmp_path).get("/").get_data(as_text=True)
    assert "Pipit is running, but it has no model yet." in page
    assert "pipit-trainer ship" in page


def test_incidents_can_be_filtered_by_address(client: FlaskClient) -> None:
    assert h1(client, "/incidents") == "Ten incidents, two of them open."
    only = client.get("/incidents?host=ap3").get_data(as_text=True)
    assert "Somebody is guessing a login at ap3" in only
    assert "cam-lobby</a>" not in only
    assert h1(client, "/incidents?host=ap3&severity=info") == "No incident matches."
    for nonsense in ("state=weird", "severity=huge", "since=yesterday", "since=2026-99-99"):
        assert client.get(f"/incidents?{nonsense}").status_code == 400


def test_an_incident_shows_who_what_why_and_the_lines(client: FlaskClient, filled: Path) -> None:
    path = path_of(filled, "psk_bruteforce")
    page = client.get(path).get_data(as_text=True)
    assert h1(client, path) == "Somebody is guessing the WiFi password at ap1"
    for words in ("89 attempts", "Never seen in training", "Wrong-password attempts", "68 times the usual most",
                  "AP-STA-POSSIBLE-PSK-MISMATCH", "What helps", "A rule and the model together"):  # fmt: skip
        assert words in page


def test_a_silence_needs_no_lines_to_be_told(client: FlaskClient, filled: Path) -> None:
    path = path_of(filled, "ap_hang")
    assert h1(client, path) == "ap2 has said nothing for 56 minutes"
    assert "the missing lines are the finding" in client.get(path).get_data(as_text=True)


def test_hostile_text_is_shown_as_codes_and_does_nothing(client: FlaskClient, filled: Path) -> None:
    page = client.get(path_of(filled, "evil_twin")).get_data(as_text=True)
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    for code in ("U+202E", "U+202C", "U+200B", "U+001B", "U+0000"):
        assert f'<b class="x">{code}</b>' in page
    assert not set("\u202e\u202c\u200b\x1b\x00") & set(page)
    assert "characters made to deceive" in page


def test_hostile_names_are_harmless_everywhere(tmp_path: Path) -> None:
    evil = 'ap"><img src=x onerror=alert(1)>\u202e'
    attack = web_data.Attack(900, evil, "psk_bruteforce", "critical", f"{evil} is <b>attacked</b> (9 times)", 1)
    web_data.fill(tmp_path, attacks=(attack,), days=0.1)
    client = a_site(tmp_path)
    for path in ("/", "/incidents", "/incidents/1", f"/incidents?host={evil}"):
        page = client.get(path).get_data(as_text=True)
        assert "<img" not in page, path
        assert "<b>attacked" not in page, path
        assert "\u202e" not in page or path.startswith("/incidents"), path
    assert "\u202e" not in client.get("/api/v1/incidents").get_data(as_text=True), "JSON is ASCII"


def test_rolling_back_asks_first_and_then_is_a_wish(tmp_path: Path) -> None:
    web_data.fill(tmp_path, days=0.1, attacks=())
    client = a_site(tmp_path)
    confirm = f"/models/wifi/{web_data.PREVIOUS}/activate"
    assert h1(client, confirm) == f"Roll wifi back to {web_data.PREVIOUS}?"
    db = state_read.connect_read(tmp_path / "state.db")
    store = BundleStore(db, tmp_path / "store")
    assert store.open_wishes() == []
    assert post(client, confirm, confirm, why="too \x1bnoisy").headers["Location"] == "/models"
    (wish,) = store.open_wishes()
    assert (wish.agent, wish.action, wish.version) == ("wifi", "rollback", web_data.PREVIOUS)
    assert "\x1b" not in wish.by
    active = store.active("wifi")
    assert active is not None
    assert active.version == web_data.ACTIVE, "the page wishes, the daemon acts"
    assert f"Asked for wifi {web_data.PREVIOUS}" in client.get("/models").get_data(as_text=True)


@pytest.mark.parametrize(
    ("version", "status"), [(web_data.REFUSED, 409), (web_data.ACTIVE, 409), ("20200101_000000", 404), ("..", 404)]
)
def test_what_cannot_serve_is_not_offered(client: FlaskClient, version: str, status: int) -> None:
    assert client.get(f"/models/wifi/{version}/activate").status_code == status


def test_a_refused_bundle_is_told_with_its_reason(client: FlaskClient) -> None:
    page = client.get("/models").get_data(as_text=True)
    assert "Golden row 14: the score differs by 0.031" in page
    assert h1(client, "/models") == f"wifi runs {web_data.ACTIVE}, and it is good."


def test_verdicts_of_the_api_are_those_of_the_store(client: FlaskClient, filled: Path) -> None:
    found = client.get("/api/v1/verdicts?host=ap1&anomalies=1").get_json()
    db = state_read.connect_read(filled / "state.db")
    expected = [verdict.as_json() for verdict in state_read.verdicts(db, host="ap1", anomalies_only=True)]
    assert found == {"verdicts": json.loads(json.dumps(expected)), "more": False}


def test_verdicts_are_chosen_by_time_and_number(client: FlaskClient) -> None:
    found = client.get("/api/v1/verdicts?since=2026-03-12T20:00:00Z&until=1773347400&limit=5").get_json()
    assert len(found["verdicts"]) == 5
    assert found["more"] is True
    assert all("2026-03-12T20:00:00Z" <= one["window_start"] < "2026-03-12T20:30:00Z" for one in found["verdicts"])
    for nonsense in ("limit=0", "limit=x", "limit=999999", "since=soon", "until=nan", "limit=\u0663"):
        answer = client.get(f"/api/v1/verdicts?{nonsense}")
        assert answer.status_code == 400, nonsense
        assert answer.get_json()["error"]["status"] == 400


def test_incidents_of_the_api_carry_their_lines(client: FlaskClient, filled: Path) -> None:
    listed = client.get("/api/v1/incidents?state=open").get_json()["incidents"]
    assert [one["host"] for one in listed] == ["cam-lobby", "ap1"]
    whole = client.get(f"/api/v1/incidents/{listed[0]['id']}").get_json()
    assert whole["verdicts"][0]["lines"][0]["program"] == "hostapd"
    assert client.get("/api/v1/incidents/99999999999999999999").status_code == 404


def test_metrics_are_the_daemons_and_ours(tmp_path: Path) -> None:
    web_data.fill(tmp_path, days=0.1, attacks=())
    (tmp_path / "metrics.prom").write_text("# TYPE model_anomalies_detected gauge\nmodel_anomalies_detected 3\n")
    client = a_site(tmp_path)
    text = client.get("/metrics").get_data(as_text=True)
    assert "model_anomalies_detected 3\n" in text
    assert 'pipit_web_answers_total{site="pi",endpoint="login",status="303"} 1' in text


def test_a_damaged_state_file_is_a_message_not_a_fault(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"this is no database" * 100)
    answer = a_site(tmp_path).get("/")
    assert answer.status_code == 503
    assert "The state cannot be read just now." in answer.get_data(as_text=True)


def path_of(folder: Path, kind: str) -> str:
    """The address of the incident of a kind."""
    db = sqlite3.connect(folder / "state.db")
    (found,) = db.execute("SELECT id FROM incidents WHERE type = ?", (kind,)).fetchone()
    db.close()
    return f"/incidents/{found}"


def test_among_a_hundred_hosts_no_loud_one_is_called_quiet(tmp_path: Path) -> None:
    page = signed_in(web_states.crowded(tmp_path)).get("/").get_data(as_text=True)
    assert "85 more hosts, 2 of them with an anomaly" in page
    assert "quiet hosts" not in page


def test_before_the_first_model_the_page_says_what_to_do(tmp_path: Path) -> None:
    for name, current in (("never", "Start the daemon"), ("no-model", "Train a model")):
        (tmp_path / name).mkdir()
        page = signed_in(web_states.STATES[name](tmp_path / name)).get("/").get_data(as_text=True)
        assert re.search(rf'<li aria-current="step"><b>{current}', page)
        assert "pipit-trainer ship latest --to pi-attic" in page


def test_of_a_dead_daemon_nothing_is_said_to_be_well_that_nobody_looks_at(tmp_path: Path) -> None:
    page = signed_in(web_states.dead(tmp_path)).get("/").get_data(as_text=True)
    assert "Not read" in page
    assert "4 s behind" not in page


def test_the_first_line_counts_what_fits_the_choice(client: FlaskClient) -> None:
    assert h1(client, "/incidents") == "Ten incidents, two of them open."
    assert h1(client, "/incidents?host=cam-lobby") == "Two incidents fit this choice, one of them open."
    assert h1(client, "/incidents?host=cam-lobby&marked=none") == "Two incidents fit this choice, one of them open."
    page = client.get("/incidents?host=nobody&marked=false").get_data(as_text=True)
    assert "Ten incidents lie outside this choice." in page
    assert '<option value="nobody" selected>' in page


@pytest.mark.parametrize(
    ("finders", "said"),
    [
        ("model", "the model alone"),
        ("rule", "a rule alone"),
        ("model+rule", "a rule and the model together"),
        ("silence", "a pause longer than this host's longest"),
        ("model+rule+silence", "a rule, the model and a pause longer than this host's longest"),
        ("", "the model"),
    ],
)
def test_who_found_it_is_said_in_words_whoever_worked_together(finders: str, said: str) -> None:
    assert incident_words.found_by(finders) == said


def test_a_drift_page_without_a_normal_window_says_what_it_waits_for(tmp_path: Path) -> None:
    web_data.fill(tmp_path, days=0.1)
    db = state.connect(tmp_path / "state.db")
    nothing = replace(web_more.a_drift(NOW), windows=0, features=(), scores=(), curves=(), known=None, word="unknown")
    drifting.save(db, nothing)
    Performance(db).flush(NOW)
    db.close()
    page = a_site(tmp_path).get("/performance").get_data(as_text=True)
    assert "No normal window was judged since this version serves" in page
    assert " 0 normal windows" not in page
    assert "Time for one cycle" not in page, "a line of one hour is an empty chart"


def test_a_version_that_was_replaced_on_probation_is_not_offered(tmp_path: Path) -> None:
    web_data.fill(tmp_path, days=0.1)
    db = state.connect(tmp_path / "state.db")
    BundleStore(db, tmp_path / "store").set_state("wifi", web_data.PREVIOUS, PROBATION, NOW)
    db.close()
    site = a_site(tmp_path)
    assert f'value="{web_data.PREVIOUS}"' not in site.get("/agents").get_data(as_text=True)
    refused = site.get(f"/models/wifi/{web_data.PREVIOUS}/activate").get_data(as_text=True)
    assert "before it had proved itself. Ship it again from the trainer." in refused


def test_a_paused_agent_is_the_first_thing_that_the_overview_says(tmp_path: Path) -> None:
    """Nobody may think that all is well while nothing is judged."""
    web_data.fill(tmp_path, attacks=(), days=0.1)
    db = state.connect(tmp_path / "state.db")
    switches.pause(db, "wifi", True, "admin page", NOW)
    site = a_site(tmp_path)
    assert h1(site, "/") == "wifi is paused: its lines are not judged."
    page = site.get("/").get_data(as_text=True)
    assert "Whatever happens meanwhile is not noticed." in page
    assert "All is well" not in page
    switches.pause(db, "wifi", False, "admin page", NOW)
    state.State(db).set_status({agents.AGENTS_KEY: {"wifi": {"error": "the model is not readable"}}}, NOW)
    db.close()
    assert "<b>Judging wifi failed:</b> the model is not readable" in site.get("/").get_data(as_text=True)


@pytest.mark.parametrize(
    ("description", "head", "rest", "why"),
    [
        ("ap2 has said nothing for 16 minutes; it was never that quiet in training (over: its agent was paused)",
         "ap2 has said nothing for 16 minutes", "it was never that quiet in training", "It counts as over: its agent was paused."),
        ("Somebody guesses at ap1 (90 attempts) (taken back: rows that came late made it normal)",
         "Somebody guesses at ap1", "90 attempts", "It was taken back: rows that came late made it normal."),
        ("Somebody guesses at ap1 (90 attempts)", "Somebody guesses at ap1", "90 attempts", ""),
        ("ap1 is loud", "ap1 is loud", "", ""),
    ],
)  # fmt: skip
def test_why_an_incident_is_over_is_no_part_of_what_happened(
    client: FlaskClient, filled: Path, description: str, head: str, rest: str, why: str
) -> None:
    with closing(state_read.connect_read(filled / "state.db")) as db:
        row = replace(
            state_read.incidents(db)[0], description=description, host=head.split()[-1] if "at" in head else "ap"
        )
    assert (incident_words.headline(row), incident_words.details(row), incident_words.why_over(row)) == (
        head,
        rest,
        why,
    )


def test_the_machines_charts_begin_with_its_first_figures(tmp_path: Path) -> None:
    """A day after the first start they are not seven days of nothing and a dot."""
    web_data.fill(tmp_path, days=0.1)
    db = state.connect(tmp_path / "state.db")
    web_more.fill_performance(db, NOW)
    assert "7 days" in machine_charts.cycles(db, NOW)
    db.execute("DELETE FROM machine WHERE slot < ?", (NOW - 8.5 * 3600,))
    assert "Time for one cycle, 9 hours" in machine_charts.cycles(db, NOW)
    db.execute("DELETE FROM machine WHERE slot < ?", (NOW - 3600,))
    assert machine_charts.cycles(db, NOW) == ""
    db.close()
