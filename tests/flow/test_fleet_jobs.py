"""Fleets as page and API ship to them: pausing between waves, challengers, catching up, and who is forgotten."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from inference.said import switches
from shared.errors import ConfigError, ShipError
from tests.fakes import V1, V2, Workshop
from tests.services import free_port
from tests.shipping import RunningPi, runner
from tests.web_client import csrf_of, with_session
from trainer import catalogue, targets
from trainer.commands import ship as cli_ship
from trainer.config import Settings
from trainer.jobs import Job, JobStore
from trainer.remote import LocalRemote
from trainer.ship import ship
from trainer.shipping import deliver, history
from trainer.shipping import serving as serving_there
from trainer.targets import parse_target
from trainer.tasks import ship as doing_ship
from trainer.tasks.job import Teller
from trainer.tasks.orders import CatchUpOrder, ShipOrder, from_json
from trainer.tasks.ship import sender_of
from trainer.web.app import create_app

NAMES = ("attic", "barn", "cellar")
DEADLINE_S = 30.0


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is off is not called three times."""
    monkeypatch.setattr("trainer.ship.ATTEMPTS", 1)


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


@pytest.fixture
def settings(tmp_path: Path, workshop: Workshop) -> Settings:
    return Settings(models_dir=workshop.models, state_dir=workshop.state_dir, exports_dir=tmp_path / "exports")


@pytest.fixture
def pis(tmp_path: Path, workshop: Workshop) -> Iterator[dict[str, RunningPi]]:
    found = {name: RunningPi(tmp_path / name, workshop.allowed, machine=name) for name in NAMES}
    for name, pi in found.items():
        targets.add_target(workshop.state_dir, parse_target(name, (tmp_path / name / "inbox").as_uri()))
        pi.run()
    yield found
    for pi in found.values():
        pi.end()


def until(met: Callable[[], Any]) -> Any:
    end = time.monotonic() + DEADLINE_S
    while not (found := met()):
        assert time.monotonic() < end
        time.sleep(0.01)
    return found


def send(order: ShipOrder, settings: Settings, number: int = 0) -> Any:
    return doing_ship.ship(order, settings, Teller(StringIO(), number), "admin")


def serving(pis: dict[str, RunningPi]) -> list[str | None]:
    rows = [pi.store.active("wifi") for pi in pis.values()]
    return [row.version if row else None for row in rows]


def switch_off(workshop: Workshop, name: str) -> None:
    """From now on nobody answers there."""
    off = f"sftp://pi@127.0.0.1:{free_port()}/inbox"
    (workshop.root / "nobody").write_text("")
    targets.add_target(workshop.state_dir, parse_target(name, off, workshop.key.path, workshop.root / "nobody"))


def switch_on(workshop: Workshop, name: str) -> None:
    targets.add_target(workshop.state_dir, parse_target(name, (workshop.root / name / "inbox").as_uri()))


# Pausing


def test_a_paused_roll_out_begins_no_further_wave_until_it_goes_on(
    settings: Settings, workshop: Workshop, pis: dict[str, RunningPi]
) -> None:
    workshop.make(V1)
    store = JobStore(settings.state_dir)
    order = ShipOrder("wifi", V1, group="all", batch=1)
    number = store.submit(order, "admin", 1.0).number
    job = store.claim("ship", 2.0)
    assert job is not None
    assert store.pause(job, True, 3.0) is not None
    done: list[Any] = []
    shipping = threading.Thread(target=lambda: done.append(send(order, settings, number)), daemon=True)
    shipping.start()
    shipping.join(0.3)
    assert serving(pis) == [None] * 3
    assert store.pause(job, False, 4.0) is not None
    shipping.join(DEADLINE_S)
    assert [result["state"] for result in done[0]["results"]] == ["loaded"] * 3


def test_only_what_comes_in_waves_and_still_runs_is_paused(tmp_path: Path) -> None:
    store = JobStore(tmp_path)
    alone = store.submit(ShipOrder("wifi", V1, target="attic"), "admin", 1.0)
    assert store.pause(alone, True, 2.0) is None
    fleet = store.submit(ShipOrder("wifi", V1, group="all"), "admin", 1.0)
    paused = store.pause(fleet, True, 2.0)
    assert paused is not None
    assert paused.paused
    store.stop(fleet, 3.0)
    assert store.pause(fleet, False, 4.0) is None


# Challengers


def test_a_challenger_is_judged_beside_and_changes_nothing_that_serves(
    settings: Settings, workshop: Workshop, pis: dict[str, RunningPi]
) -> None:
    workshop.make(V1)
    workshop.make(V2)
    send(ShipOrder("wifi", V1, group="all"), settings)
    done = send(ShipOrder("wifi", V2, target="attic", challenger=True), settings)
    assert done["results"] == [{"target": "attic", "state": "challenger"}]
    assert serving(pis) == [V1] * 3
    assert switches.switches(pis["attic"].db)["wifi"].challenger == V2
    assert history.latest(settings.state_dir)["attic", "wifi"].version == V1, "what serves is told as before"
    assert history.challengers(settings.state_dir)["attic", "wifi"].version == V2
    assert (
        serving_there.check(targets.connect, targets.find_target(settings.state_dir, "attic"))["agents"]["wifi"][
            "version"
        ]
        == V1
    )
    room = create_app(settings.state_dir, models_dir=settings.models_dir, settings=settings).extensions["pipit_room"]
    assert f"wifi_{V2}" in room.held(), "what is judged somewhere is not cleaned away"
    assert room.beside()["attic", "wifi"].version == V2
    send(ShipOrder("wifi", V2, target="attic"), settings)
    assert serving(pis)[0] == V2
    assert room.beside() == {}, "who serves is no challenger"


def test_a_challenger_without_anything_to_compare_with_is_refused_with_the_reason(
    settings: Settings, workshop: Workshop, pis: dict[str, RunningPi]
) -> None:
    workshop.make(V1)
    result = runner(workshop)(cli_ship.ship, V1, "--to", "attic", "--challenger", "--wait")
    assert isinstance(result.exception, ShipError)
    assert result.exception.code == "no_active"
    assert serving(pis) == [None] * 3
    with pytest.raises(ConfigError, match="name the version to go back to"):
        deliver.roll_back(sender_of(settings), targets.find_target(settings.state_dir, "attic"), None)


def test_an_inbox_keeps_the_version_that_is_judged_beside(tmp_path: Path, workshop: Workshop) -> None:
    (inbox := tmp_path / "inbox").mkdir()
    versions = [f"2025060{day}_230000" for day in range(1, 9)]
    ship(workshop.make(versions[0]), LocalRemote(inbox), link="challenger")
    for version in versions[1:]:
        ship(workshop.make(version), LocalRemote(inbox))
    for version in versions:
        os.utime(inbox / "wifi" / version, (1, 1))
    ship(workshop.make("20250610_230000"), LocalRemote(inbox))
    kept = {path.name for path in (inbox / "wifi").iterdir()}
    assert versions[0] in kept
    assert versions[1] not in kept
    assert not (inbox / "wifi_model_active.joblib").resolve().samefile(inbox / "wifi" / versions[0] / "model.joblib")


# Catching up


def test_who_was_away_is_caught_up_and_who_is_still_away_stays_behind(
    settings: Settings, workshop: Workshop, pis: dict[str, RunningPi]
) -> None:
    switch_off(workshop, "barn")
    switch_off(workshop, "cellar")
    workshop.make(V1)
    assert send(ShipOrder("wifi", V1, group="all"), settings)["offline"] == ["barn", "cellar"]
    switch_on(workshop, "barn")
    done = doing_ship.catch_up(CatchUpOrder(group="all"), settings, Teller(StringIO()), "admin")
    assert [(one["target"], one["state"]) for one in done["results"]] == [("barn", "loaded"), ("cellar", "offline")]
    assert serving(pis) == [V1, V1, None]
    with pytest.raises(ShipError, match="nobody could be reached") as nobody:
        doing_ship.catch_up(CatchUpOrder(target="cellar"), settings, Teller(StringIO()), "admin")
    assert nobody.value.unknown


def test_catching_up_passes_only_those_gates_that_somebody_saw_missed(
    settings: Settings, workshop: Workshop, pis: dict[str, RunningPi]
) -> None:
    switch_off(workshop, "barn")
    switch_off(workshop, "cellar")
    for version, name in ((V1, "barn"), (V2, "cellar")):
        workshop.make(version)
        with pytest.raises(ShipError):
            send(ShipOrder("wifi", version, target=name), settings)
    _miss_the_gate(settings, V1)
    client = with_session(create_app(settings.state_dir, models_dir=settings.models_dir, settings=settings))
    page = {"csrf_token": csrf_of(client, "/catch-up"), "to": "all", "reason": "tried in the lab"}
    assert client.post("/catch-up", data=page).status_code == 303
    (job,) = JobStore(settings.state_dir).listed()
    _miss_the_gate(settings, V2)  # after somebody had said yes to the first
    switch_on(workshop, "barn")
    switch_on(workshop, "cellar")
    order = from_json(job.kind, job.order)
    assert isinstance(order, CatchUpOrder)
    with pytest.raises(ShipError, match=f"wifi_{V2} missed the quality gate"):
        doing_ship.catch_up(order, settings, Teller(StringIO()), "admin")
    assert serving(pis) == [None, V1, None]
    token = client.application.extensions["pipit"].account.add_token("tests", "admin")
    asked = {"headers": {"Authorization": f"Bearer {token}"}, "json": {"force": True, "fleet": "all"}}
    assert client.post("/api/v1/catch-up", **asked).status_code == 202
    newest = JobStore(settings.state_dir).listed(limit=1)[0]
    assert newest.order["forced"] == [f"wifi_{V2}"], "what has missed its gate by now, and what is lacked"


def _miss_the_gate(settings: Settings, version: str) -> None:
    gate = {"passed": False, "reason": "recall 0.4 is under 0.5"}
    catalogue.add_evaluation(settings.models_dir, settings.state_dir, "wifi", version, {"gate": gate}, 1.0)


def test_a_pi_that_was_forgotten_is_not_caught_up_when_it_comes_back_under_its_name(
    settings: Settings, workshop: Workshop, pis: dict[str, RunningPi]
) -> None:
    switch_off(workshop, "barn")
    workshop.make(V1)
    send(ShipOrder("wifi", V1, group="all"), settings)
    deliver.forget_target(settings.state_dir, "barn", 1.0)
    assert "barn" not in targets.load_targets(settings.state_dir)
    switch_on(workshop, "barn")
    assert deliver.behind(sender_of(settings), targets.fleet(settings.state_dir, "all")) == []


def test_a_roll_out_that_somebody_stops_is_not_finished_by_catching_up(
    settings: Settings, workshop: Workshop, pis: dict[str, RunningPi], monkeypatch: pytest.MonkeyPatch
) -> None:
    switch_off(workshop, "attic")
    workshop.make(V1)

    def stopped(gate: doing_ship.Gate) -> None:
        if history.transfers(settings.state_dir):  # the canary was tried
            raise SystemExit(143)

    monkeypatch.setattr(doing_ship.Gate, "wait", stopped)
    with pytest.raises(SystemExit):
        send(ShipOrder("wifi", V1, group="all"), settings)
    assert deliver.behind(sender_of(settings), targets.fleet(settings.state_dir, "all")) == []


# Pages


def test_the_pages_offer_challengers_pausing_and_catching_up(
    settings: Settings, workshop: Workshop, pis: dict[str, RunningPi]
) -> None:
    switch_off(workshop, "barn")
    workshop.make(V1)
    send(ShipOrder("wifi", V1, group="all"), settings)
    store = JobStore(settings.state_dir)
    app = create_app(settings.state_dir, models_dir=settings.models_dir, settings=settings)
    client = with_session(app)
    assert "barn could not be reached last time." in " ".join(
        client.get("/fleet").get_data(as_text=True).replace("<b>", "").split()
    )
    assert "Ship again to one Pi" in client.get("/catch-up").get_data(as_text=True)
    token = csrf_of(client, "/catch-up")
    assert client.post("/catch-up", data={"csrf_token": token, "to": "all"}).status_code == 303
    assert client.get(f"/ship?model=wifi_{V1}&to=attic&how=challenger").status_code == 200
    sent = {"csrf_token": token, "model": f"wifi_{V1}", "to": "all", "how": "challenger"}
    started = client.post("/ship", data=sent)
    assert started.status_code == 303
    caught, challenge = sorted(store.listed(), key=lambda job: job.number)
    assert (caught.kind, challenge.order["challenger"]) == ("catchup", True)
    _press(client, challenge, "pause")
    assert _again(store, challenge).paused
    assert "Go on with the next wave" in client.get(started.location).get_data(as_text=True)
    _press(client, challenge, "continue")
    assert not _again(store, challenge).paused


def _press(client: Any, job: Job, do: str) -> None:
    path = f"/jobs/{job.number}"
    answer = client.post(f"{path}/pause", data={"csrf_token": csrf_of(client, path), "do": do})
    assert answer.status_code == 303


def _again(store: JobStore, job: Job) -> Job:
    found = store.find(job.key)
    assert found is not None
    return found
