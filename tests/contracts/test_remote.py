"""One suite for every Remote: a folder, OpenSSH's server, and a server that knows less."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from shared.errors import ShipError
from tests.asyncssh_server import PackagedSftpServer, find_asyncssh
from tests.services import running
from tests.sshd_server import SshdServer
from trainer.remote import LocalRemote, Remote
from trainer.targets import connect, parse_target


@dataclass
class Place:
    """A remote, and its inbox seen from this side."""

    remote: Remote
    folder: Path


@pytest.fixture(scope="module")
def packaged() -> Iterator[PackagedSftpServer]:
    """A server without OpenSSH's extensions, for all of this suite."""
    with running(PackagedSftpServer(find_asyncssh())) as server:
        yield server


@pytest.fixture(params=["folder", "openssh", "asyncssh"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "folder":
        inbox = tmp_path / "inbox"
        inbox.mkdir()
        (tmp_path / "receipts").mkdir()
        yield Place(LocalRemote(inbox), inbox)
    elif request.param == "openssh":
        yield from _over(request.getfixturevalue("sshd"))
    else:
        yield from _over(request.getfixturevalue("packaged"))


def _over(server: SshdServer) -> Iterator[Place]:
    own = f"contract-{uuid.uuid4().hex[:8]}"
    setup = connect(parse_target("server", server.url, server.identity, server.known_hosts))
    setup.make_folder(own)
    setup.make_folder(f"{own}/inbox")
    setup.make_folder(f"{own}/receipts")
    setup.close()
    remote = connect(parse_target("server", f"{server.url}/{own}/inbox", server.identity, server.known_hosts))
    yield Place(remote, server.inbox / own / "inbox")
    remote.close()


def test_a_new_file_arrives_whole(place: Place) -> None:
    data = os.urandom(300_000)
    sent: list[int] = []
    place.remote.write_new("file", data, sent.append)
    assert (place.folder / "file").read_bytes() == data
    assert sum(sent) == len(data)
    assert place.remote.read("file", len(data) + 1) == data
    assert place.remote.read("file", 10) == data[:10]


def test_an_empty_file_arrives_too(place: Place) -> None:
    place.remote.write_new("empty", b"")
    assert (place.folder / "empty").read_bytes() == b""


def test_a_file_that_exists_is_not_written_again(place: Place) -> None:
    place.remote.write_new("file", b"first")
    with pytest.raises(ShipError) as refused:
        place.remote.write_new("file", b"second")
    assert not refused.value.unknown
    assert (place.folder / "file").read_bytes() == b"first"


def test_folders_are_made_once_and_again(place: Place) -> None:
    place.remote.make_folder("wifi")
    place.remote.make_folder("wifi")
    assert (place.folder / "wifi").is_dir()
    place.remote.write_new("file", b"")
    with pytest.raises(ShipError):
        place.remote.make_folder("file")


def test_folders_can_be_made_durable(place: Place) -> None:
    place.remote.make_folder("wifi")
    place.remote.sync_folder("wifi")
    place.remote.sync_folder(".")


def test_rename_moves_a_folder_and_replaces_a_link(place: Place) -> None:
    place.remote.make_folder("incoming")
    place.remote.write_new("incoming/file", b"x")
    place.remote.rename("incoming", "wifi")
    assert (place.folder / "wifi" / "file").read_bytes() == b"x"
    place.remote.make_link("old", "active")
    place.remote.make_link("new", ".active")
    place.remote.rename(".active", "active")
    assert os.readlink(place.folder / "active") == "new"
    assert [name for name, _ in place.remote.names(".")] == ["active", "wifi"]


def test_a_link_points_the_right_way(place: Place) -> None:
    place.remote.make_folder("wifi")
    place.remote.make_link("20250607_230000", "wifi/active")
    assert os.readlink(place.folder / "wifi" / "active") == "20250607_230000"
    assert place.remote.read_link("wifi/active") == "20250607_230000"
    assert not os.path.lexists(place.folder / "20250607_230000")


def test_what_is_not_there_reads_as_none(place: Place) -> None:
    assert place.remote.read("nothing", 10) is None
    assert place.remote.read("no/thing", 10) is None
    assert place.remote.read_link("nothing") is None
    assert place.remote.names("nothing") == []
    place.remote.remove("nothing")


def test_the_receipts_are_the_inboxs_sibling(place: Place) -> None:
    (place.folder.parent / "receipts").chmod(0o755)
    (place.folder.parent / "receipts" / "wifi.json").write_text("{}")
    assert place.remote.read("../receipts/wifi.json", 100) == b"{}"


def test_files_links_and_folders_are_removed(place: Place) -> None:
    place.remote.make_folder("old")
    place.remote.write_new("old/file", b"x")
    place.remote.make_link("file", "old/link")
    place.remote.write_new("file", b"x")
    for name in ("old/link", "old", "file"):
        place.remote.remove(name)
    assert place.remote.names(".") == []


def test_free_space_is_a_number_or_unknown(place: Place) -> None:
    free = place.remote.free_bytes()
    assert free is None or free > 1_000_000


def test_a_refusal_is_known_and_says_where(place: Place) -> None:
    with pytest.raises(ShipError, match="nowhere/file") as refused:
        place.remote.write_new("nowhere/file", b"x")
    assert not refused.value.unknown
    assert refused.value.code == "io"
