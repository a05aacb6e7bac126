"""What a person reads when a request is refused: why, what to do, and a way on that leads to where he was."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from inference.web.app import create_app as create_pi
from tests import web_data, web_trainer
from tests.web_client import csrf_of, post, set_up, with_session
from trainer.config import Settings
from trainer.web.app import create_app as create_trainer

VERSION = web_trainer.VERSION
WAY_ON = re.compile(r'<a class="btn go" href="([^"]+)">([^<]+)</a>')


@pytest.fixture(scope="module")
def pi(tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    folder = tmp_path_factory.mktemp("pi")
    web_data.fill(folder, days=0.1)
    return with_session(create_pi(folder, now=lambda: web_data.NOW, place="pi-attic"))


@pytest.fixture(scope="module")
def trainer(tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    folder = tmp_path_factory.mktemp("trainer")
    models = web_trainer.fill(folder)
    settings = Settings(exports_dir=folder / "exports", max_upload=1)
    return with_session(create_trainer(folder, models_dir=models, now=lambda: web_data.NOW, settings=settings))


def way_on(page: str) -> tuple[str, str]:
    found = WAY_ON.search(page)
    assert found is not None, page
    return found[1], found[2]


@pytest.mark.parametrize(
    ("path", "on"),
    [
        ("/incidents/999", ("/incidents", "To the page Incidents")),
        ("/mutes/1/end", ("/incidents", "To the page Incidents")),
        ("/models/wifi/20200101_000000", ("/models", "To the page Models")),
        (f"/models/wifi/{web_data.ACTIVE}/activate", ("/models", "To the page Models")),
        ("/no-such-page", ("/", "To the first page")),
    ],
)
def test_an_error_leads_to_the_page_that_its_address_lies_below(
    pi: FlaskClient, path: str, on: tuple[str, str]
) -> None:
    answer = pi.get(path)
    assert answer.status_code >= 400
    assert way_on(answer.get_data(as_text=True)) == on


@pytest.mark.parametrize(
    ("came_from", "on"),
    [
        ("http://localhost/incidents/9?x=1", "/incidents/9?x=1"),
        ("http://localhost/incidents/9/mark", "/incidents"),  # shows nothing to who only looks
        ("http://elsewhere.example/trap", "/incidents"),
        ("", "/incidents"),
    ],
)
def test_a_refused_form_leads_back_to_its_page_and_never_elsewhere(pi: FlaskClient, came_from: str, on: str) -> None:
    form = {"csrf_token": csrf_of(pi, "/incidents/9"), "mark": "perhaps"}
    answer = pi.post("/incidents/9/mark", data=form, headers={"Referer": came_from} if came_from else {})
    assert answer.status_code == 400
    assert way_on(answer.get_data(as_text=True))[0] == on


def test_who_is_signed_in_keeps_the_bar_when_something_is_too_large(pi: FlaskClient) -> None:
    answer = post(pi, "/settings/budget", "/settings", agent="wifi", per_week="1" * 70_000)
    page = answer.get_data(as_text=True)
    assert answer.status_code == 413
    assert "This address takes 66 kB at most." in page
    assert 'aria-label="Pages"' in page


def test_who_is_not_signed_in_learns_of_no_page(tmp_path: Path) -> None:
    app = create_pi(tmp_path, now=lambda: web_data.NOW, place="pi-attic")
    set_up(app)
    page = app.test_client().get("/incidents/999/x").get_data(as_text=True)
    assert way_on(page) == ("/", "To the first page")


def test_an_export_that_is_too_large_names_the_limit_of_exports(trainer: FlaskClient) -> None:
    answer = trainer.post("/train", data=b"x" * 1_400_000, content_type="multipart/form-data; boundary=x")
    page = answer.get_data(as_text=True)
    assert answer.status_code == 413
    assert "An upload may have 1.0 MB (TRAINING_MAX_UPLOAD)" in page
    assert way_on(page) == ("/train", "To the page Train")


@pytest.mark.parametrize(("path", "said"), [("/ship", "what is shipped"), ("/rollback", "which Pi goes back")])
def test_an_address_without_a_choice_leads_to_where_it_is_made(trainer: FlaskClient, path: str, said: str) -> None:
    answer = trainer.get(path)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/fleet")
    assert said in trainer.get("/fleet").get_data(as_text=True)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/ship?model=wifi_20200101_000000", "This model is not on this machine any more"),
        ("/rollback?target=pi-gone&agent=wifi", "No Pi of that name is in the list."),
    ],
)
def test_what_is_gone_is_said_to_be_gone(trainer: FlaskClient, path: str, said: str) -> None:
    answer = trainer.get(path)
    assert answer.status_code == 404
    assert said in answer.get_data(as_text=True)


def test_the_answer_to_a_form_does_not_ask_for_itself_again(trainer: FlaskClient) -> None:
    """Its address takes no GET: a page that tried to keep itself fresh would say that the server is gone."""
    answer = post(trainer, "/fleet/targets", "/fleet", name="", url="")
    assert answer.status_code == 400
    assert "data-live" not in answer.get_data(as_text=True)
    assert "data-live" in trainer.get("/fleet").get_data(as_text=True)
