"""What the trainer's pages and API say of its models and Pis."""

from __future__ import annotations

import html
import io
import json
import re
import shutil
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from shared.bundle import canonical
from tests import web_data, web_trainer
from tests.web_client import csrf_of, post, signed_in
from trainer import catalogue, jobs
from trainer.jobs import JobStore
from trainer.shipping import history
from trainer.shipping.history import Transfer
from trainer.tasks.orders import EvaluateOrder
from trainer.web import gate_words, history_page
from trainer.web.app import create_app
from trainer.web.model_facts import metrics

VERSION = web_trainer.VERSION
EXPORT = b"timestamp,host,program,message\n2026-03-03T00:00:01Z,ap1,hostapd,hello\n"
ADDRESS = f"/models/wifi/{VERSION}"


@pytest.fixture
def client(tmp_path: Path) -> FlaskClient:
    models = web_trainer.fill(tmp_path)
    return signed_in(create_app(tmp_path, models_dir=models, now=lambda: web_data.NOW))


def test_the_list_says_what_was_learnt_and_where_it_runs(client: FlaskClient) -> None:
    page = client.get("/").get_data(as_text=True)
    for words in ("<h1>The newest wifi model runs on 1 of 3 Pis.</h1>", "9 days, 31,903 rows", "21 hosts, 8,977 windows",
                  "1 in 3,000", "pi-lab"):  # fmt: skip
        assert words in page


def test_an_empty_machine_shows_the_first_step(tmp_path: Path) -> None:
    client = signed_in(create_app(tmp_path, models_dir=tmp_path / "none", now=lambda: web_data.NOW))
    page = client.get("/").get_data(as_text=True)
    assert "<h1>There is no model yet.</h1>" in page
    assert "pipit-trainer train logs.csv" in page
    assert "No Pi is known here yet." in client.get("/fleet").get_data(as_text=True)


def test_a_models_page_shows_its_ranges_and_its_fate(client: FlaskClient) -> None:
    page = client.get(ADDRESS).get_data(as_text=True)
    for words in (f"<h1>{VERSION} learnt from nine days of 21 hosts.</h1>", "Wrong-password attempts", "riverside.csv.gz",
                  "Golden row 14 differs &lt;by 0.031&gt;."):  # fmt: skip
        assert words in page


def test_the_report_comes_as_it_is_with_no_power_over_the_site(client: FlaskClient) -> None:
    answer = client.get(f"{ADDRESS}/report")
    assert answer.data == web_trainer.REPORT
    policy = answer.headers["Content-Security-Policy"]
    assert "sandbox" in policy
    assert "script-src" not in policy
    assert "allow-scripts" not in policy


def test_the_fleet_says_who_turned_a_model_away_and_why(client: FlaskClient) -> None:
    page = client.get("/fleet").get_data(as_text=True)
    assert "<h1>One of three Pis runs the newest model. pi-attic turned the last one away.</h1>" in page
    assert "Nothing sent yet" in page


def test_the_api_merges_where_a_model_runs_into_its_metadata(client: FlaskClient) -> None:
    (listed,) = client.get("/api/v1/models").get_json()["models"]
    assert listed["targets"] == ["pi-lab"]
    for reference in (VERSION, f"wifi_{VERSION}"):
        found = client.get(f"/api/v1/models/{reference}").get_json()
        assert found["metadata"]["deployment_info"]["status"] == "deployed"
        assert found["metadata"]["training_log_count"] == 31903
    assert client.get("/api/v1/models/20200101_000000").status_code == 404


def test_a_damaged_model_is_listed_as_damaged(client: FlaskClient, tmp_path: Path) -> None:
    shutil.copytree(tmp_path / "models/wifi" / VERSION, tmp_path / "models/wifi/20260313_060000")
    (tmp_path / "models/wifi/20260313_060000/metadata.json").write_text("[1, 2")
    assert "Damaged" in client.get("/").get_data(as_text=True)
    page = client.get("/models/wifi/20260313_060000").get_data(as_text=True)
    assert "is damaged and cannot be shipped" in page
    assert client.get("/metrics").status_code == 200


def test_metrics_tell_of_models_and_shipments(client: FlaskClient) -> None:
    text = client.get("/metrics").get_data(as_text=True)
    assert 'pipit_trainer_models{agent="wifi"} 1.0' in text
    assert 'pipit_trainer_shipments{result="refused",target="pi-attic"} 1.0' in text
    assert "pipit_web_answer_seconds_count" in text


def upload(client: FlaskClient, **fields: object) -> TestResponse:
    """Send the training form as a browser does, with a file."""
    token = csrf_of(client, "/train")
    return client.post("/train", data={"csrf_token": token, **fields}, content_type="multipart/form-data")


def test_an_upload_is_taken_in_and_looked_into_by_a_job(client: FlaskClient) -> None:
    file = (io.BytesIO(EXPORT), "../Monday <b>.csv")
    answer = upload(client, upload=file, do="check", **{"model.n_estimators": "50"})
    assert answer.status_code == 303
    assert answer.location == "/train?export=Monday-b-.csv&model.n_estimators=50"
    page = client.get(answer.location).get_data(as_text=True)
    assert "Looking into Monday-b-.csv" in page
    assert 'value="50"' in page


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("logs.exe", EXPORT, "its name must end in"),
        ("logs.csv", b"\x00" * 40, "no text file"),
        ("week.csv", EXPORT, "already"),
    ],
)
def test_a_wrong_upload_is_named_beside_its_field_and_not_kept(
    client: FlaskClient, tmp_path: Path, name: str, data: bytes, said: str
) -> None:
    before = sorted((tmp_path / "exports").iterdir())
    answer = upload(client, upload=(io.BytesIO(data), name), do="check")
    assert answer.status_code == 400
    assert said in answer.get_data(as_text=True)
    assert sorted((tmp_path / "exports").iterdir()) == before


def test_every_wrong_setting_is_named_beside_its_field(client: FlaskClient) -> None:
    wrong = {"model.max_samples": "4O96", "features.exclude": "nothing", "start_date": "soon"}
    labels = (io.BytesIO(b'[{"type": "x"}]'), "episodes.json")
    answer = upload(client, export="week.csv", do="start", labels=labels, **wrong)
    page = answer.get_data(as_text=True)
    assert answer.status_code == 400
    for field, said in (("model-max_samples", "4O96"), ("features-exclude", "has no feature"), ("start_date", "soon"),
                        ("lb", "episode 1: no start")):  # fmt: skip
        shown = re.search(rf'<span id="{field}-e"[^>]*><b>([^<]*)', page)
        assert shown, field
        assert said in html.unescape(shown[1])
    assert 'value="4O96"' in page
    assert "Four things are not right yet." in page


def test_train_starts_a_job_and_pressing_twice_starts_no_second(client: FlaskClient, tmp_path: Path) -> None:
    places = [post(client, "/train", "/train", export="week.csv", do="start", search="quick").location for _ in "ab"]
    assert places == ["/jobs/3", "/jobs/3"]
    job = JobStore(tmp_path).find("3")
    assert job is not None
    assert (job.kind, job.order["trials"], job.by) == ("tune", 8, "admin")
    assert "waits for its turn: one job before it" in client.get("/jobs/3").get_data(as_text=True)
    assert "week.csv stays: job 3 needs it." in follow(client, post(client, "/exports/week.csv/delete", "/train"))
    assert "Job 3 is stopped." in follow(client, post(client, "/jobs/3/stop", "/jobs/3"))
    assert "week.csv is deleted." in follow(client, post(client, "/exports/week.csv/delete", "/train"))


def test_hostile_text_of_a_job_is_shown_as_codes(client: FlaskClient) -> None:
    page = client.get("/jobs/1").get_data(as_text=True)
    assert "<script>alert(1)" not in page
    assert "U+202E" in page
    assert client.get("/jobs/1/log").mimetype == "text/plain"


def test_shipping_asks_once_more_and_a_missed_gate_asks_why(client: FlaskClient, tmp_path: Path) -> None:
    page = client.get(f"/ship?model=wifi_{VERSION}").get_data(as_text=True)
    assert f"<h1>Ship wifi {VERSION} to three Pis?</h1>" in page
    gate = {"passed": False, "reason": "recall is 0.4", "checks": []}
    catalogue.add_evaluation(tmp_path / "models", tmp_path, "wifi", VERSION, {"gate": gate}, web_data.NOW)
    sent = {"model": f"wifi_{VERSION}", "to": "pi-lab"}
    refused = post(client, "/ship", "/fleet", **sent)
    assert refused.status_code == 400
    assert "Say why it is shipped" in refused.get_data(as_text=True)
    started = post(client, "/ship", "/fleet", **sent, reason="first of the site")
    job = JobStore(tmp_path).find(started.location.rsplit("/", 1)[1])
    assert job is not None
    assert (job.order["force"], job.order["reason"], job.order["target"]) == (True, "first of the site", "pi-lab")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": "x", "url": "file:///tmp"}, "write sftp://user@host:port/inbox"),
        ({"name": "x", "url": "sftp://pipit:secret@host/inbox"}, "a password in a URL"),
        ({"name": "../x", "url": "sftp://pipit@host/inbox"}, "a name has letters"),
        ({"name": "x", "url": "sftp://pipit@host/inbox", "identity": "/none"}, "is no file on this machine"),
    ],
)
def test_a_pi_that_cannot_be_added_is_told_why_beside_the_field(
    client: FlaskClient, fields: dict[str, str], said: str
) -> None:
    answer = post(client, "/fleet/targets", "/fleet", **fields)
    assert answer.status_code == 400
    assert said in answer.get_data(as_text=True)
    assert 'aria-invalid="true"' in answer.get_data(as_text=True)


def test_history_is_filtered_and_comes_as_a_table(client: FlaskClient) -> None:
    page = client.get("/history?what=Refused&target=pi-attic").get_data(as_text=True)
    assert "<h1>One thing happened, and it went wrong.</h1>" in page
    rows = client.get("/history.csv").get_data(as_text=True).splitlines()
    assert rows[0] == "time,what,about,details,seconds,result,by"
    assert len(rows) == 6
    assert "at least 7" in follow(client, post(client, "/history/clean-up", "/history", days="3"))


def test_history_lists_what_a_command_trained_and_measured(client: FlaskClient, tmp_path: Path) -> None:
    """No job knows of it: the registry does."""
    gate = {"passed": False, "reason": "x"}
    said = {"method": "labels", "exports": ["march.csv"], "gate": gate}
    catalogue.add_evaluation(tmp_path / "models", tmp_path, "wifi", VERSION, said, web_data.NOW - 3600)
    page = html.unescape(re.sub(r"<[^>]+>", " ", client.get("/history").get_data(as_text=True)))
    assert re.search(rf"Trained\s+wifi {VERSION}\s+06:00\s+5 s\s+from riverside.csv.gz\s+Model {VERSION}", page)
    assert re.search(rf"Evaluated\s+wifi {VERSION}\s+20:16\s+–\s+on march.csv\s+Gate missed", page)
    assert f'href="{ADDRESS}">Trained' in client.get("/history").get_data(as_text=True)


def test_a_measurement_that_a_job_took_stands_in_the_history_once(client: FlaskClient, tmp_path: Path) -> None:
    store, begun = JobStore(tmp_path), web_data.NOW - 300
    job = store.submit(EvaluateOrder("wifi", VERSION, "week.csv"), "admin", begun)
    store.end(2, jobs.CANCELLED, begun)
    store.claim("work", begun)
    catalogue.add_evaluation(tmp_path / "models", tmp_path, "wifi", VERSION, {"exports": ["week.csv"]}, begun + 9)
    store.end(job.number, jobs.COMPLETED, begun + 10, result={"version": VERSION})
    rows = client.get("/history.csv?what=Evaluated").get_data(as_text=True).splitlines()
    assert len(rows) == 2


def test_a_version_that_another_one_took_the_place_of_is_not_said_to_serve(client: FlaskClient, tmp_path: Path) -> None:
    for n, version in enumerate(("20260313_000000", "20260314_000000")):
        sent = Transfer(web_data.NOW + n, "ship", "pi-cabin", "wifi", version, 50 + n, 1, 1.0, "loaded")
        history.record(tmp_path, sent)
    for path in ("/fleet", "/history"):
        page = client.get(path).get_data(as_text=True)
        newer, older = page.index("20260314_000000", page.index("Transfers") if path == "/fleet" else 0), None
        older = page.index("20260313_000000", newer)
        assert "Serves, on probation" in page[newer:older]
        assert "Replaced since" in page[older : older + 600]


def test_a_long_history_comes_in_pages(client: FlaskClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_page, "SHOWN", 5)
    for n in range(6):
        history.record(tmp_path, Transfer(1e9 + n, "ship", "pi-lab", "wifi", VERSION, 1, 1, 1.0, "good"))
    first, second = (client.get(f"/history?target=pi-lab&page={n}").get_data(as_text=True) for n in (1, 2))
    assert "page=2" in first
    assert "target=pi-lab" in first
    assert second.count('<th scope="row">') == 2
    assert "Older" not in second


def test_figures_have_their_units() -> None:
    rows = dict(
        metrics({"evaluation": {"metrics": {"named_right": 1.0, "median_delay_s": 213.8, "precision": 0.9667}}})
    )
    assert rows == {"Called by the right name": "100 %", "Median delay": "4 min", "Precision of windows": "96.7 %"}
    bound = {"checks": [{"metric": "episode_recall", "at_least": 0.5, "value": 0.976, "passed": True}]}
    assert gate_words.checks(bound)[0][1:3] == ("at least 50 %", "97.6 %")


def test_cleaning_up_keeps_what_runs_somewhere(client: FlaskClient, tmp_path: Path) -> None:
    shutil.copytree(tmp_path / "models/wifi" / VERSION, tmp_path / "models/wifi/20260101_000000")
    page = client.get("/clean-up?keep=1").get_data(as_text=True)
    assert "<h1>Remove one model, " in page
    assert VERSION not in page
    assert "One model removed." in follow(client, post(client, "/clean-up", "/clean-up", keep="1"))
    assert not (tmp_path / "models/wifi/20260101_000000").exists()


def follow(client: FlaskClient, answer: TestResponse) -> str:
    """The page that an answer leads to."""
    assert answer.status_code == 303
    return client.get(answer.location).get_data(as_text=True)


def test_shipping_what_a_pi_will_refuse_is_said_before(client: FlaskClient, tmp_path: Path) -> None:
    """A version signed earlier than the one that serves is taken for a replay; going back signs it anew."""
    newer = tmp_path / "models/wifi/20260313_000000"
    shutil.copytree(tmp_path / "models/wifi" / VERSION, newer)
    manifest = json.loads((newer / "MANIFEST.json").read_text())
    (newer / "MANIFEST.json").write_bytes(canonical({**manifest, "version": newer.name, "serial": 44}))
    history.record(tmp_path, Transfer(web_data.NOW, "ship", "pi-lab", "wifi", newer.name, 44, 1, 1.0, "good"))
    page = client.get(f"/ship?model=wifi_{VERSION}&to=pi-lab").get_data(as_text=True)
    assert "<b>pi-lab runs a version that was signed later</b>" in page
    assert 'href="/rollback?target=pi-lab&amp;agent=wifi"' in page
    assert "signed later" not in client.get("/ship?model=wifi_20260313_000000&to=pi-lab").get_data(as_text=True)


def test_a_pi_is_changed_in_the_form_that_it_was_added_with(client: FlaskClient) -> None:
    page = client.get("/fleet?change=pi-lab").get_data(as_text=True)
    for typed in ('value="pi-lab"', 'value="sftp://pipit@10.0.4.11/inbox"', 'value="home"', ">Save pi-lab<"):
        assert typed in page
    fields = {"name": "pi-lab", "url": "sftp://pipit@10.0.4.99/inbox", "groups": "home, cellar"}
    said = follow(client, post(client, "/fleet/targets", "/fleet", **fields))
    assert "pi-lab was changed. What it runs stays as it is." in said
    assert "10.0.4.99" in said
    assert ">Save" not in client.get("/fleet?change=nobody").get_data(as_text=True)
