"""The administrator's password and the API tokens: no default, one time, never readable."""

from __future__ import annotations

import errno
import logging
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.errors import ConfigError, RequestError
from shared.web.account import Account, AccountError
from shared.web.serve import check_bind, is_loopback, serve, split_bind

PASSWORD = "correct horse battery"
NEVER: Callable[[], float] = lambda: 1773350160.0  # noqa: E731


@pytest.fixture
def account(tmp_path: Path) -> Account:
    return Account(tmp_path, NEVER)


def test_a_fresh_site_has_no_password_and_logs_its_token_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        first = Account(tmp_path, NEVER)
        token = first.setup_token()
        second = Account(tmp_path, NEVER)  # another process, or a restart
        assert second.setup_token() == token
    assert not first.has_password
    assert token is not None
    assert sum(token in record.getMessage() for record in caplog.records) == 1


def test_a_site_that_was_begun_comes_up_on_a_full_disk(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    token, key = account.setup_token(), account.session_key()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("shared.web.account.write_new", full)
    assert (account.setup_token(), account.session_key()) == (token, key)


def test_only_the_token_sets_the_first_password_and_only_once(account: Account) -> None:
    token = account.setup_token() or ""
    with pytest.raises(AccountError, match="not the token"):
        account.set_up("wrong", PASSWORD, PASSWORD)
    account.set_up(token, PASSWORD, PASSWORD)
    assert account.check_password(PASSWORD)
    assert account.setup_token() is None
    with pytest.raises(AccountError, match="already"):
        account.set_up(token, "another password", "another password")


@pytest.mark.parametrize(("one", "two", "why"), [("short", "short", "12"), (PASSWORD, PASSWORD + "x", "differ")])
def test_a_weak_or_mistyped_password_is_refused(account: Account, one: str, two: str, why: str) -> None:
    with pytest.raises(AccountError, match=why):
        account.set_up(account.setup_token() or "", one, two)
    assert not account.has_password


def test_everything_is_readable_by_the_owner_alone(account: Account) -> None:
    account.set_up(account.setup_token() or "", PASSWORD, PASSWORD)
    account.add_token("dashboard", "read")
    account.session_key()
    assert stat.S_IMODE(account.folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in account.folder.iterdir()} == {0o600}


def test_the_disk_holds_neither_password_nor_token(account: Account) -> None:
    account.set_up(account.setup_token() or "", PASSWORD, PASSWORD)
    token = account.add_token("dashboard", "read")
    everything = "".join(file.read_text() for file in account.folder.iterdir())
    assert PASSWORD not in everything
    assert token not in everything
    assert "$argon2id$" in everything


def test_a_token_has_its_scope_until_it_is_removed(account: Account) -> None:
    reader, admin = account.add_token("a", "read"), account.add_token("b", "admin")
    assert (account.scope_of(reader), account.scope_of(admin)) == ("read", "admin")
    assert account.scope_of(reader + "x") is None
    assert account.scope_of("\ud800") is None
    assert account.remove_token(account.tokens()[0].id)
    assert account.scope_of(reader) is None
    assert not account.remove_token("nothing")


@pytest.mark.parametrize(("name", "scope"), [("", "read"), ("x" * 65, "read"), ("a\x1bb", "read"), ("a", "root")])
def test_a_token_without_a_sound_name_or_scope_is_refused(account: Account, name: str, scope: str) -> None:
    with pytest.raises(AccountError):
        account.add_token(name, scope)


def test_a_new_password_has_another_fingerprint(account: Account) -> None:
    account.set_up(account.setup_token() or "", PASSWORD, PASSWORD)
    before = account.fingerprint()
    account.change_password(PASSWORD, "a wholly new one", "a wholly new one")
    assert account.fingerprint() != before
    account.reset()
    assert account.fingerprint() == ""
    assert not account.check_password("a wholly new one")


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "pi.lan"])
def test_no_network_address_is_bound_without_a_password(host: str, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ConfigError, match=r"ssh -L 8000:127\.0\.0\.1:8000"):
        check_bind(host, 8000, has_password=False)
    with caplog.at_level(logging.WARNING):
        check_bind(host, 8000, has_password=True)
    assert "plain HTTP" in caplog.text


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.8.0.1"])
def test_this_machine_may_always_connect(host: str) -> None:
    assert is_loopback(host)
    check_bind(host, 8000, has_password=False)


@pytest.mark.parametrize("bind", ["8000", "127.0.0.1:", ":8000", "127.0.0.1:99999", "127.0.0.1:x"])
def test_an_address_that_is_none_is_named(bind: str) -> None:
    with pytest.raises(ConfigError, match="HOST:PORT"):
        split_bind(bind)


def test_an_address_that_somebody_else_has_is_refused_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(RequestError, match=rf"127\.0\.0\.1:{port} cannot be had: Address already in use"):
            serve("inference.web.app:create_app", f"127.0.0.1:{port}", tmp_path)
    assert not (tmp_path / "web" / "setup-token").exists(), "nothing was begun"
