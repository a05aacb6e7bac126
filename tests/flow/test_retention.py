"""What is kept and what goes: never what serves, is watched, or would be gone back to; on both sides."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result

from inference.bundles import probation
from inference.commands.models import models as pi_models
from shared import bundle, layout
from shared.errors import BundleError, ConfigError
from tests.fakes import V1, V2, V3, Pi, Workshop
from trainer import archive
from trainer.commands import models as cli_models
from trainer.remote import LocalRemote
from trainer.ship import ship
from trainer.shipping import history
from trainer.shipping.history import Transfer

VERSIONS = [f"2025060{day}_230000" for day in range(1, 10)]


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


@pytest.fixture
def run(workshop: Workshop) -> Callable[..., Result]:
    settings = SimpleNamespace(models_dir=workshop.models, state_dir=workshop.state_dir, signing_key=None)
    return lambda *words: CliRunner().invoke(cli_models.models, list(words), obj=settings)


def sent(workshop: Workshop, target: str, version: str, state: str) -> None:
    history.record(workshop.state_dir, Transfer(1.0, "ship", target, "wifi", version, 1, 1, 1.0, state))


def test_the_trainer_keeps_what_its_targets_run_watch_or_would_go_back_to(
    workshop: Workshop, run: Callable[..., Result]
) -> None:
    for version in VERSIONS:
        workshop.make(version)
    layout.activate(workshop.models, "wifi", VERSIONS[0])
    sent(workshop, "attic", VERSIONS[1], "good")
    sent(workshop, "attic", VERSIONS[2], "loaded")
    sent(workshop, "attic", VERSIONS[3], "refused")
    sent(workshop, "barn", VERSIONS[4], "good")
    sent(workshop, "barn", VERSIONS[5], "good")
    sent(workshop, "barn", VERSIONS[6], "good")
    done = run("prune", "--keep", "1")
    assert done.output == "".join(f"removed wifi_{VERSIONS[n]}\n" for n in (3, 4, 7))
    assert layout.versions_in(workshop.models, "wifi") == [VERSIONS[n] for n in (0, 1, 2, 5, 6, 8)]


def test_retention_days_keep_young_versions(workshop: Workshop, run: Callable[..., Result]) -> None:
    for version in (V1, V2, V3):
        workshop.make(version)
    assert run("prune", "--keep", "1", "--older-than-days", "100000").stdout == ""
    assert run("prune", "--keep", "1", "--older-than-days", "1").output == f"removed wifi_{V1}\nremoved wifi_{V2}\n"


def test_old_versions_are_compressed_and_come_back_byte_for_byte(
    workshop: Workshop, run: Callable[..., Result]
) -> None:
    signed = workshop.make(V1)
    workshop.make(V2)
    assert "archived" in run("prune", "--keep", "1", "--archive").output
    assert layout.versions_in(workshop.models, "wifi") == [V2]
    assert layout.agents_in(workshop.models) == ["wifi"], "the archive is no agent"
    assert run("restore").output == f"wifi_{V1}\n"
    assert run("restore", f"wifi_{V1}").output == f"restored wifi_{V1}\n"
    assert bundle.open_bundle(workshop.models / "wifi" / V1) == dict(signed.raw)
    assert archive.archived(workshop.models) == []
    with pytest.raises(ConfigError, match="there is no"):
        archive.unpack(workshop.models, "wifi_20200101_000000")
    with pytest.raises(ConfigError, match="there is no"):
        archive.unpack(workshop.models, "../../etc/passwd")


@pytest.mark.parametrize("name", ["../evil", "extra.txt", "agent.yaml"])
def test_an_archive_that_was_tampered_with_is_refused(workshop: Workshop, name: str) -> None:
    workshop.make(V1)
    path = archive.pack(workshop.models, "wifi", V1)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        entry = tarfile.TarInfo(name)
        entry.size = 3
        tar.addfile(entry, io.BytesIO(b"bad"))
    path.write_bytes(gzip.compress(out.getvalue()))
    with pytest.raises(BundleError):
        archive.unpack(workshop.models, f"wifi_{V1}")
    path.write_bytes(b"\x1f\x8b nothing")
    with pytest.raises(BundleError):
        archive.unpack(workshop.models, f"wifi_{V1}")
    assert layout.versions_in(workshop.models, "wifi") == []


def test_an_archive_under_another_versions_name_is_refused(workshop: Workshop) -> None:
    workshop.make(V1)
    path = archive.pack(workshop.models, "wifi", V1)
    path.rename(path.with_name(f"wifi_{V2}.tar.gz"))
    with pytest.raises(BundleError, match=f"holds wifi_{V1}"):
        archive.unpack(workshop.models, f"wifi_{V2}")
    assert layout.versions_in(workshop.models, "wifi") == []


def test_an_archive_that_unpacks_to_more_than_a_bundle_may_hold_is_refused(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    workshop.make(V1)
    archive.pack(workshop.models, "wifi", V1)
    monkeypatch.setattr(archive, "_MOST", 5_000)
    with pytest.raises(BundleError, match="more than a bundle may"):
        archive.unpack(workshop.models, f"wifi_{V1}")


def test_a_version_stays_when_its_archive_does_not_read_back(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    workshop.make(V1)
    monkeypatch.setattr(layout, "write_atomic", lambda path, data: path.write_bytes(archive._packed({})))
    with pytest.raises(BundleError, match="does not read back"):
        archive.pack(workshop.models, "wifi", V1)
    assert layout.versions_in(workshop.models, "wifi") == [V1]


def test_a_damaged_version_is_not_archived(workshop: Workshop) -> None:
    workshop.make(V1)
    (workshop.models / "wifi" / V1 / "scorer.npz").write_bytes(b"half")
    with pytest.raises(BundleError):
        archive.pack(workshop.models, "wifi", V1)
    assert layout.versions_in(workshop.models, "wifi") == [V1]


# The Pi


@pytest.mark.parametrize("keep", [0, 1, 3])
def test_the_pi_keeps_active_former_watched_and_as_many_more_as_asked(
    tmp_path: Path, workshop: Workshop, keep: int
) -> None:
    pi = Pi(tmp_path / "pi", workshop.allowed)
    pi.settings = replace(pi.settings, keep=keep)
    for version in VERSIONS[:6]:
        ship(workshop.make(version), LocalRemote(pi.inbox))
        pi.one()
        probation.note(pi.db, "wifi", version, windows=3, anomalies=0)
        pi.one()
    ship(workshop.make(VERSIONS[6]), LocalRemote(pi.inbox))
    assert pi.one().state == "loaded"
    assert pi.state_of(VERSIONS[6]) == "probation"
    kept = layout.versions_in(pi.settings.store, "wifi")
    assert kept == VERSIONS[5 - keep : 7]
    assert pi.store.prune(0) == [f"wifi_{version}" for version in reversed(VERSIONS[5 - keep : 5])]
    assert layout.versions_in(pi.settings.store, "wifi") == VERSIONS[5:7], "active and former are never pruned"


def test_the_pi_lists_filters_and_forgets_its_history(tmp_path: Path, workshop: Workshop) -> None:
    pi = Pi(tmp_path / "pi", workshop.allowed)
    ship(workshop.make(V1), LocalRemote(pi.inbox))
    pi.one()
    ship(workshop.make(V2, "golden"), LocalRemote(pi.inbox))
    pi.one()
    settings = SimpleNamespace(
        state_file=pi.state_file, state_folder=pi.state_file.parent, inbox_folder=pi.inbox, keep_models=1
    )

    def told(*words: str) -> list[dict[str, Any]]:
        return list(json.loads(CliRunner().invoke(pi_models, ["history", "--json", *words], obj=settings).output))

    assert [(row["version"], row["state"]) for row in told()] == [(V2, "refused"), (V1, "loaded")]
    assert [row["code"] for row in told("--state", "refused")] == ["golden"]
    assert [row["version"] for row in told("--version", V1)] == [V1]
    assert told("--agent", "sshd") == []
    shown = CliRunner().invoke(pi_models, ["history"], obj=settings).output
    assert "golden: row 14" in shown
    assert CliRunner().invoke(pi_models, ["history", "--forget-days", "0"], obj=settings).output == "2 removed\n"
    assert told() == []
    assert CliRunner().invoke(pi_models, ["prune", "--keep", "0"], obj=settings).output == f"removed wifi_{V2}\n"
