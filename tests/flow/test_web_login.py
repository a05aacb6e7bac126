"""First start, sign in, sign out, sessions, themes: what the browser and the account files see."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask

from inference.web.app import create_app
from tests.web_client import PASSWORD, csrf_of, post, set_up, signed_in

NOW = 1773350160.0


@pytest.fixture
def app(tmp_path: Path) -> Flask:
    """A Pi's site on which nobody has signed in yet, and no daemon has run."""
    return create_app(tmp_path, now=lambda: NOW, place="pi-attic")


def test_the_first_visitor_is_led_to_the_set_up_page_and_needs_the_token(app: Flask) -> None:
    client = app.test_client()
    assert client.get("/").headers["Location"] == "/setup"
    wrong = post(client, "/setup", "/setup", token="guess", password=PASSWORD, again=PASSWORD)
    assert wrong.status_code == 401
    token = app.extensions["pipit"].account.setup_token()
    right = post(client, "/setup", "/setup", token=token, password=PASSWORD, again=PASSWORD)
    assert right.headers["Location"] == "/"
    assert client.get("/").status_code == 200


def test_two_passwords_that_differ_do_not_cost_the_token(app: Flask) -> None:
    client = app.test_client()
    answer = post(client, "/setup", "/setup", token="a-long-token", password=PASSWORD, again=PASSWORD + "x")
    assert 'value="a-long-token"' in answer.get_data(as_text=True)


def test_a_second_visitor_cannot_set_the_password_again(app: Flask) -> None:
    set_up(app)
    client = app.test_client()
    assert client.get("/setup").headers["Location"] == "/login"
    answer = client.post(
        "/setup", data={"csrf_token": csrf_of(client), "token": "x", "password": "y" * 12, "again": "y" * 12}
    )
    assert answer.headers["Location"] == "/login"
    assert app.extensions["pipit"].account.check_password(PASSWORD)


def test_five_wrong_passwords_are_refused_and_the_sixth_try_has_to_wait(app: Flask) -> None:
    set_up(app)
    client = app.test_client()
    token = csrf_of(client)
    tries = [client.post("/login", data={"csrf_token": token, "password": "wrong"}) for _ in range(6)]
    assert [answer.status_code for answer in tries] == [401, 401, 401, 401, 401, 429]
    assert "Four tries left" in tries[0].get_data(as_text=True)
    assert "Too many tries" in tries[5].get_data(as_text=True)
    right = client.post("/login", data={"csrf_token": token, "password": PASSWORD})
    assert right.status_code == 429, "the right password must not open a way around the limit"


def test_the_session_cookie_is_out_of_reach_of_scripts_and_other_sites(app: Flask) -> None:
    set_up(app)
    client = app.test_client()
    cookie = post(client, "/login", password=PASSWORD).headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie


def test_signing_out_ends_the_session(app: Flask) -> None:
    client = signed_in(app)
    assert client.get("/access").status_code == 200
    post(client, "/logout", "/access")
    assert client.get("/access").status_code == 303


def test_a_changed_password_ends_every_other_session(app: Flask) -> None:
    one, other = signed_in(app), signed_in(app)
    new = "an entirely new one"
    answer = post(one, "/access/password", "/access", current=PASSWORD, password=new, again=new)
    assert answer.status_code == 303
    assert one.get("/access").status_code == 200
    assert other.get("/access").status_code == 303


def test_a_reset_on_the_machine_itself_ends_all_sessions(app: Flask) -> None:
    client = signed_in(app)
    app.extensions["pipit"].account.reset()
    assert client.get("/access").headers["Location"] == "/setup"


@pytest.mark.parametrize("back", ["//evil.example/", "https://evil.example/", "/\\evil.example", "/\tevil", "evil", ""])
def test_after_signing_in_nobody_is_sent_elsewhere(app: Flask, back: str) -> None:
    set_up(app)
    assert post(app.test_client(), "/login", password=PASSWORD, back=back).headers["Location"] == "/"


def test_after_signing_in_one_is_where_one_wanted_to_be(app: Flask) -> None:
    set_up(app)
    client = app.test_client()
    there = client.get("/incidents?state=open").headers["Location"]
    assert there == "/login?back=/incidents?state%3Dopen"
    assert (
        post(client, "/login", there, password=PASSWORD, back="/incidents?state=open")
        .headers["Location"]
        .endswith("state=open")
    )


def test_a_token_is_shown_once_works_and_can_be_removed(app: Flask) -> None:
    client = signed_in(app)
    page = post(client, "/access/tokens", "/access", name="<b>hall</b>", scope="read")
    assert page.status_code == 201
    text = page.get_data(as_text=True)
    token = text.split('<code class="breaks">')[1].split("<")[0]
    assert "<b>hall</b>" not in text
    assert token not in client.get("/access").get_data(as_text=True)
    headers = {"Authorization": f"Bearer {token}"}
    assert app.test_client().get("/api/v1/status", headers=headers).status_code == 200
    token_id = app.extensions["pipit"].account.tokens()[0].id
    post(client, f"/access/tokens/{token_id}/remove", "/access")
    assert app.test_client().get("/api/v1/status", headers=headers).status_code == 401


def test_the_theme_is_kept_in_a_cookie_without_a_script(app: Flask) -> None:
    client = app.test_client()
    seen = []
    for _ in range(4):
        post(client, "/theme", "/setup", back="/setup")
        page = client.get("/setup").get_data(as_text=True)
        seen.append(next((t for t in ("dark", "light") if f'data-theme="{t}"' in page), "system"))
    assert seen == ["dark", "light", "system", "dark"]


def test_a_machine_where_no_daemon_ran_says_so(app: Flask) -> None:
    client = signed_in(app)
    page = client.get("/").get_data(as_text=True)
    assert "<h1>The daemon has not run on this machine yet.</h1>" in page
    assert "No model has arrived yet." in client.get("/models").get_data(as_text=True)
    assert client.get("/incidents").status_code == 303
    assert client.get("/api/v1/verdicts", headers={}).get_json() == {"verdicts": [], "more": False}
