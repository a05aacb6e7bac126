"""The exports folder: hostile names, wrong content, too much of it; nothing half is ever offered."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from shared.errors import ExportError, StoreError
from trainer import exports
from trainer.exports import TakenError, UploadTooLargeError

GOOD = b"timestamp,host,program,message\n2026-03-03T00:00:01Z,ap1,hostapd,hello\n"


def take(folder: Path, name: str, data: bytes = GOOD, limit: int = 10_000) -> exports.ExportFile:
    return exports.take_in(folder, name, io.BytesIO(data).read, limit)


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("C:\\logs\\Büro 1.csv", "B-ro-1.csv"),
        ("../../etc/passwd.csv", "passwd.csv"),
        ("<script>.jsonl.gz", "script-.jsonl.gz"),
        (".hidden.csv", "hidden.csv"),
        ("a\u202evsc.csv", "a-vsc.csv"),
    ],
)
def test_a_name_from_elsewhere_is_made_harmless(tmp_path: Path, name: str, kept: str) -> None:
    assert take(tmp_path, name).name == kept
    assert [path.name for path in tmp_path.iterdir()] == [kept]


@pytest.mark.parametrize("name", ["", "logs.exe", ".csv", "/", "logs.csv.zip"])
def test_a_name_that_is_no_exports_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ExportError, match="its name must end in"):
        take(tmp_path, name)


@pytest.mark.parametrize("data", [b"", os.urandom(2000), b"a,b\n1,2\n", b"\x1f\x8b cut", b"{}"])
def test_what_is_no_export_leaves_nothing_behind(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(ExportError):
        take(tmp_path, "logs.csv", data)
    assert list(tmp_path.iterdir()) == []


def test_more_than_the_limit_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(UploadTooLargeError, match="TRAINING_MAX_UPLOAD"):
        take(tmp_path, "logs.csv", GOOD * 200, limit=1000)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_full_in_mid_upload_leaves_nothing_behind(tmp_path: Path) -> None:
    def read(_size: int) -> bytes:
        raise OSError(28, "No space left on device")

    with pytest.raises(StoreError, match="the disk is full"):
        exports.take_in(tmp_path, "logs.csv", read, 1000)
    assert list(tmp_path.iterdir()) == []


def test_an_upload_takes_nobodys_place(tmp_path: Path) -> None:
    take(tmp_path, "logs.csv")
    with pytest.raises(TakenError, match="already"):
        take(tmp_path, "logs.csv", GOOD + GOOD[31:])
    assert (tmp_path / "logs.csv").read_bytes() == GOOD


def test_a_service_that_was_killed_leaves_no_half_upload_for_the_next_one(tmp_path: Path) -> None:
    """What is still being written, and what is somebody else's, stays."""
    half, fetched = f".{'a' * 32}.part.week.csv", f"..{'b' * 32}.part.week.csv.0123456789ab.part"
    for name in (half, fetched, ".week.csv.0123456789ab.part", "week.csv"):
        (tmp_path / name).write_bytes(GOOD)
    pieces = iter((GOOD, b""))

    def read(_size: int) -> bytes:
        exports.sweep(tmp_path)
        return next(pieces)

    assert exports.take_in(tmp_path, "logs.csv", read, 1000).name == "logs.csv"
    assert {path.name for path in tmp_path.iterdir()} == {".week.csv.0123456789ab.part", "week.csv", "logs.csv"}


def test_links_and_odd_names_are_not_offered(tmp_path: Path) -> None:
    (tmp_path / "link.csv").symlink_to("/etc/passwd")
    (tmp_path / "odd name.csv").write_bytes(GOOD)
    (tmp_path / "folder.csv").mkdir()
    take(tmp_path, "logs.csv")
    assert [one.name for one in exports.list_exports(tmp_path)] == ["logs.csv"]


@pytest.mark.parametrize("reference", ["../logs.csv", "/etc/passwd", "exports/../logs.csv", "none.csv", ""])
def test_only_what_lies_in_the_folder_is_found(tmp_path: Path, reference: str) -> None:
    folder = tmp_path / "exports"
    take(folder, "logs.csv")
    (tmp_path / "logs.csv").write_bytes(GOOD)
    with pytest.raises(ExportError, match="does not lie"):
        exports.find_export(folder, reference)
    assert exports.find_export(folder, "exports/logs.csv").name == "logs.csv"


def test_a_validation_counts_as_long_as_the_file_is_the_same(tmp_path: Path) -> None:
    one = take(tmp_path / "exports", "logs.csv")
    exports.save_check(tmp_path, one, "wifi", {"fit": True})
    assert exports.read_check(tmp_path, one, "wifi") == {"fit": True}
    assert exports.read_check(tmp_path, one, "sshd") is None
    one.path.write_bytes(GOOD + GOOD[31:])
    assert exports.read_check(tmp_path, exports.find_export(tmp_path / "exports", "logs.csv"), "wifi") is None
