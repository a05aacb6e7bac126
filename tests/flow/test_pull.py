"""A Pi that nobody can reach fetches its model from the trainer's API: the real site, hostile stand-ins, the command line."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from werkzeug.serving import make_server

from inference import pull
from inference.bundles.trainer_api import Offer, TrainerApi
from shared import bundle, layout
from shared.errors import BundleError, ConfigError, RequestError, ShipError, StoreError
from tests.daemon_process import Trained, daemon, trained
from tests.fakes import V1, V2, Pi, Workshop
from tests.services import free_port
from trainer.web.app import create_app

__all__ = ["trained"]


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


@contextmanager
def site(models: Path, state_dir: Path) -> Iterator[tuple[str, str]]:
    """The trainer's real site on a free port: its address, and a token that may read."""
    app = create_app(state_dir, models_dir=models)
    token = app.extensions["pipit"].account.add_token("attic", "read")
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", token
    finally:
        server.shutdown()
        thread.join(10)


@pytest.fixture
def api(workshop: Workshop) -> Iterator[TrainerApi]:
    workshop.make(V1)
    workshop.make(V2)
    with site(workshop.models, workshop.state_dir) as (url, token):
        yield TrainerApi(url, token, timeout_s=10)


@pytest.fixture
def pi(tmp_path: Path, workshop: Workshop) -> Pi:
    return Pi(tmp_path / "pi", workshop.allowed)


def test_the_trainer_is_asked_and_lists_its_models_newest_first(api: TrainerApi) -> None:
    assert api.release()
    assert [offer.model_id for offer in api.offers()] == [f"wifi_{V2}", f"wifi_{V1}"]
    assert pull.choose(api.offers(), "latest", None).version == V2
    assert pull.choose(api.offers(), f"wifi_{V1}", None).version == V1
    with pytest.raises(RequestError, match="no usable version"):
        pull.choose(api.offers(), "20200101_000000", None)


def test_latest_of_several_agents_must_be_named(api: TrainerApi, workshop: Workshop) -> None:
    workshop.make(V1, agent="sshd")
    with pytest.raises(ConfigError, match="not unique"):
        pull.choose(api.offers(), "latest", None)
    assert pull.choose(api.offers(), "latest", "sshd").agent == "sshd"


def test_a_fetched_bundle_goes_through_the_same_reconcile(api: TrainerApi, pi: Pi, workshop: Workshop) -> None:
    offer = pull.choose(api.offers(), "latest", None)
    counted: list[int] = []
    assert pull.fetch(api, offer, pi.inbox, counted.append)
    assert sum(counted) > offer.size_bytes
    assert list((pi.inbox / "incoming").iterdir()) == []
    assert pi.reconcile() == [], "lying there is no wish"
    pi.store.wish("wifi", "activate", V2, "pull", pi.clock())
    assert (pi.one().state, pi.serving()) == ("loaded", V2)
    assert pi.receipt()["state"] == "loaded"
    assert not pull.fetch(api, offer, pi.inbox), "what lies there is not fetched again"
    older = pull.choose(api.offers(), V1, None)
    pull.fetch(api, older, pi.inbox)
    pi.store.wish("wifi", "activate", V1, "pull", pi.clock())
    assert pi.one().code == "serial_replay", "the trainer's word is no way around the floor"


def test_what_is_damaged_in_the_inbox_is_fetched_again(api: TrainerApi, pi: Pi) -> None:
    offer = pull.choose(api.offers(), V1, None)
    pull.fetch(api, offer, pi.inbox)
    place = pi.inbox / "wifi" / V1
    (place / "scorer.npz").write_bytes(b"half")
    assert pull.fetch(api, offer, pi.inbox)
    bundle.verify(bundle.open_bundle(place), None)
    shutil.rmtree(place)
    place.symlink_to("/etc")
    assert pull.fetch(api, offer, pi.inbox)
    assert place.is_dir()
    assert not place.is_symlink()


def test_another_bundle_of_that_name_is_not_overwritten(api: TrainerApi, pi: Pi, tmp_path: Path) -> None:
    other = Workshop(tmp_path / "other")
    other.make(V1, size=3000)
    shutil.copytree(other.models / "wifi" / V1, pi.inbox / "wifi" / V1)
    with pytest.raises(BundleError, match="another bundle") as refused:
        pull.fetch(api, pull.choose(api.offers(), V1, None), pi.inbox)
    assert refused.value.code == "version"


class Between(TrainerApi):
    """Somebody in between who changes a byte."""

    def file(self, model_id: str, name: str, limit: int) -> bytes:
        data = super().file(model_id, name, limit)
        return data if name != "scorer.npz" else bytes([data[0] ^ 1]) + data[1:]


def test_a_bundle_that_was_changed_on_its_way_is_refused_here(api: TrainerApi, pi: Pi) -> None:
    """He may change every byte: he cannot sign."""
    api.__class__ = Between
    pull.fetch(api, pull.choose(api.offers(), V2, None), pi.inbox)
    pi.store.wish("wifi", "activate", V2, "pull", pi.clock())
    assert pi.one().code == "hash"
    assert pi.serving() is None


def test_a_wrong_token_and_a_version_that_is_gone_are_refusals(api: TrainerApi, workshop: Workshop, pi: Pi) -> None:
    with pytest.raises(ShipError, match="token") as refused:
        TrainerApi(api.url, "pipit_read_guess").offers()
    assert (refused.value.code, refused.value.unknown) == ("auth", False)
    offer = pull.choose(api.offers(), V1, None)
    shutil.rmtree(workshop.models / "wifi" / V1)
    with pytest.raises(ShipError) as gone:
        pull.fetch(api, offer, pi.inbox)
    assert gone.value.code == "not_here"
    assert not list(pi.inbox.rglob("*.npz"))


@pytest.mark.parametrize(("url", "token"), [("", "t"), ("ftp://x", "t"), ("http://user:pw@x", "t"), ("http://x", "")])
def test_settings_that_cannot_work_say_so(url: str, token: str) -> None:
    with pytest.raises(ConfigError, match="pull: "):
        TrainerApi(url, token)


def test_a_trainer_that_is_off_is_unknown() -> None:
    with pytest.raises(ShipError, match="cannot be reached") as off:
        TrainerApi(f"http://127.0.0.1:{free_port()}", "t").offers()
    assert off.value.unknown


def test_an_inbox_that_cannot_be_written_is_said(api: TrainerApi, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises((StoreError, BundleError)):
        pull.fetch(api, pull.choose(api.offers(), V1, None), tmp_path / "file")


# A trainer that means harm, or is none


Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def stand_in(answer: Answer) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def say(handler: BaseHTTPRequestHandler, body: bytes, status: int = 200, **headers: str) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def test_the_token_never_follows_a_redirect() -> None:
    heard: list[str | None] = []

    def listen(handler: BaseHTTPRequestHandler) -> None:
        heard.append(handler.headers["Authorization"])
        say(handler, b"{}")

    with (
        stand_in(listen) as elsewhere,
        stand_in(lambda h: say(h, b"", 302, Location=elsewhere + "/api/v1/models")) as url,
        pytest.raises(ShipError, match="elsewhere") as refused,
    ):
        TrainerApi(url, "secret").offers()
    assert refused.value.code == "redirect"
    assert heard == []


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(bytes(1 << 16))
    except OSError:
        return


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (endless, "too_large"),
        (lambda h: say(h, b"<html>"), "protocol"),
        (lambda h: say(h, b"[1]"), "protocol"),
        (lambda h: say(h, b"[" * 100_000), "protocol"),
        (lambda h: say(h, b'{"models": {}}'), "protocol"),
        (lambda h: say(h, b"", 500), "protocol"),
        (lambda h: h.wfile.write(b"SSH-2.0-OpenSSH\r\n"), "offline"),
        (lambda h: h.connection.close(), "offline"),
    ],
)
def test_nonsense_from_the_far_side_is_an_error_with_a_code(answer: Answer, code: str) -> None:
    with stand_in(answer) as url, pytest.raises(ShipError) as refused:
        TrainerApi(url, "t", timeout_s=5).offers()
    assert refused.value.code == code


def test_a_far_side_that_never_answers_is_given_up() -> None:
    stop = threading.Event()
    began = time.monotonic()

    def never(_handler: BaseHTTPRequestHandler) -> None:
        stop.wait(10)

    with stand_in(never) as url:
        with pytest.raises(ShipError) as late:
            TrainerApi(url, "t", timeout_s=0.3).offers()
        stop.set()
    assert late.value.unknown
    assert time.monotonic() - began < 5


def test_offers_with_paths_or_control_characters_are_passed_over() -> None:
    models = [
        {"agent": "../etc", "version": V1, "serial": 1, "size_bytes": 1},
        {"agent": "wifi", "version": "../../x", "serial": 1, "size_bytes": 1},
        {"agent": "wifi", "version": V1, "serial": "x", "size_bytes": 1},
        7,
        {"agent": "wifi", "version": V1, "serial": 3, "size_bytes": 4, "fault": "\x1b[31mred"},
    ]
    with stand_in(lambda h: say(h, json.dumps({"models": models}).encode())) as url:
        found = TrainerApi(url, "t").offers()
    assert [(o.model_id, o.serial) for o in found] == [(f"wifi_{V1}", 3)]
    assert "\x1b" not in found[0].fault
    with pytest.raises(RequestError):
        pull.choose(found, "latest", None)


def test_a_file_larger_than_a_bundles_may_be_is_cut_off(tmp_path: Path) -> None:
    (tmp_path / "inbox").mkdir()
    with stand_in(endless) as url, pytest.raises(ShipError, match="larger"):
        pull.fetch(TrainerApi(url, "t"), Offer("wifi", V1, 1, 10, ""), tmp_path / "inbox")
    assert layout.versions_in(tmp_path / "inbox", "wifi") == []


# The command line


def test_the_command_line_checks_lists_and_pulls_with_and_without_a_daemon(trained: Trained, tmp_path: Path) -> None:
    version = trained.bundle.name
    (tmp_path / "inbox").mkdir()
    with site(trained.models, tmp_path / "site") as (url, token):
        (tmp_path / "token").write_text(token + "\n")
        settings = {
            "INBOX": tmp_path / "inbox", "ALLOWED_SIGNERS": trained.allowed_signers, "TRAINER_URL": url,
            "TRAINER_TOKEN_FILE": tmp_path / "token", "POLL_S": 3600,
        }  # fmt: skip
        with daemon(tmp_path / "pi", **settings) as pi:
            checked = pi.cli("pull", "--check", "--json")
            assert checked.returncode == 0, checked.stderr
            assert json.loads(checked.stdout)["models"] == 1
            assert token.encode() not in checked.stdout + checked.stderr
            listed = json.loads(pi.cli("pull", "--json").stdout)
            assert [(row["version"], row["state"], row["active"]) for row in listed] == [(version, "new", False)]
            pi.start()
            pi.wait("daemon started")
            done = pi.cli("pull", "latest", "--json")
            assert done.returncode == 0, done.stderr
            assert json.loads(done.stdout)["active"] == version
            assert "way=activate" in pi.log()
            again = json.loads(pi.cli("pull", version, "--json").stdout)
            assert again["active"] == version, "what serves is asked for again and stays"
            history = json.loads(pi.cli("models", "history", "--json").stdout)
            assert [row["state"] for row in history] == ["loaded", "loaded"]
            assert json.loads(pi.cli("models", "history", "--json", "--state", "refused").stdout) == []
            assert pi.cli("models", "history", "--forget-days", "0").stdout == b"2 removed\n"
            pi.kill()
        missing = pi.cli("pull", "20200101_000000")
        assert missing.returncode == 2, "as on the trainer: a version that is not there is wrong usage"
        assert b"no usable version" in missing.stderr
    off = pi.cli("pull", "--check")
    assert off.returncode == 3
