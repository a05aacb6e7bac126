"""Paths, versions and the atomic link."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared import layout
from shared.errors import ConfigError


@pytest.mark.parametrize("text", ["20250607_230000", "20250607_230000-r1", "20250607_230000-r12"])
def test_versions_are_recognised(text: str) -> None:
    assert layout.is_version(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "..",
        "20250607_230000/",
        "20250607_230000\n",
        "٢0250607_230000",
        "latest",
        "20250607_230000-r",
        "/20250607_230000",
        "20250607_230000-r1-r2",
    ],
)
def test_nothing_else_is_a_version(text: str) -> None:
    assert not layout.is_version(text)


def test_a_resigned_version_comes_after_the_one_it_repeats() -> None:
    versions = ["20250608_000000", "20250607_230000-r10", "20250607_230000", "20250607_230000-r2"]
    assert sorted(versions, key=layout.version_order) == [
        "20250607_230000",
        "20250607_230000-r2",
        "20250607_230000-r10",
        "20250608_000000",
    ]
    assert layout.resigned("20250607_230000", {"20250607_230000-r1"}) == "20250607_230000-r2"
    assert layout.resigned("20250607_230000-r2", set()) == "20250607_230000-r3"


def test_latest_and_bare_versions_resolve_where_they_are_unique(tmp_path: Path) -> None:
    for name in ("wifi/20250607_230000", "wifi/20250608_230000", "sshd/20250607_230000", "incoming/20250609_230000"):
        (tmp_path / name).mkdir(parents=True)
    assert layout.resolve(tmp_path, "20250608_230000") == ("wifi", "20250608_230000")
    assert layout.resolve(tmp_path, "latest", "wifi") == ("wifi", "20250608_230000")
    assert layout.resolve(tmp_path, "sshd_20250607_230000") == ("sshd", "20250607_230000")
    for ambiguous in ("latest", "20250607_230000"):
        with pytest.raises(ConfigError, match="not unique"):
            layout.resolve(tmp_path, ambiguous)
    with pytest.raises(ConfigError, match="no version"):
        layout.resolve(tmp_path, "20250609_230000")


def test_stable_names_follow_the_active_link(tmp_path: Path) -> None:
    for version in ("20250607_230000", "20250608_230000"):
        folder = tmp_path / "wifi" / version
        folder.mkdir(parents=True)
        (folder / "model.joblib").write_text(version)
        (folder / "metadata.json").write_text(version)
        layout.activate(tmp_path, "wifi", version)
        assert (tmp_path / "wifi_model_active.joblib").read_text() == version
        assert (tmp_path / "wifi_metadata_active.json").read_text() == version
        assert layout.active_version(tmp_path, "wifi") == version
    assert not list(tmp_path.rglob(".*")), "nothing temporary is left"


def test_a_link_that_names_no_version_is_no_wish(tmp_path: Path) -> None:
    (tmp_path / "wifi").mkdir()
    (tmp_path / "wifi" / "active").symlink_to("../../etc")
    assert layout.active_version(tmp_path, "wifi") is None


def test_a_folder_is_not_opened_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with layout.open_folder(tmp_path / "real"):
        pass
    with pytest.raises(OSError, match="link"), layout.open_folder(tmp_path / "link"):
        pass


def test_links_and_files_are_neither_agents_nor_versions(tmp_path: Path) -> None:
    real = tmp_path / "wifi" / "20250607_230000"
    real.mkdir(parents=True)
    (tmp_path / "sshd").symlink_to("wifi")
    (tmp_path / "dhcp").write_text("no folder")
    (tmp_path / "wifi" / "20250608_230000").symlink_to(real)
    (tmp_path / "wifi" / "20250609_230000").write_text("no folder")
    assert layout.agents_in(tmp_path) == ["wifi"]
    assert layout.versions_in(tmp_path, "wifi") == ["20250607_230000"]
    assert layout.agents_in(tmp_path / "nowhere") == []
