"""model_registry.json: what became of each version, for people and programs; and what prune may remove."""

from __future__ import annotations

import errno
import json
import threading
from pathlib import Path
from typing import Any

import pytest

from shared import bundle, layout
from shared.errors import ShipError, StoreError
from trainer import catalogue, registry
from trainer.keys import ensure_key
from trainer.ship import SignedBundle
from trainer.shipping import history
from trainer.shipping.deliver import check_gate
from trainer.shipping.history import Transfer

VERSIONS = [f"2026030{day}_000000" for day in range(1, 7)]
NOW = 1_773_295_200.0


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Six versions with a little metadata, the newest active."""
    for version in VERSIONS:
        folder = tmp_path / "models" / "wifi" / version
        metadata = {
            "model_version": version,
            "gate": {"passed": True, "reason": ""},
            "evaluation": {"metrics": {"recall": 0.9}},
        }
        files = dict.fromkeys(bundle.FILES, b"{}") | {"metadata.json": json.dumps(metadata).encode()}
        bundle.write_bundle(
            folder, files, agent="wifi", version=version, serial=1, audience=["*"], sign=lambda _data: b"signed"
        )
    layout.activate(tmp_path / "models", "wifi", VERSIONS[-1])
    return tmp_path / "models"


def sent(state: Path, version: str, how: str, target: str = "attic", at: float = NOW, reason: str = "") -> None:
    history.record(state, Transfer(at, "ship", target, "wifi", version, 1, 10, 0.1, how, "", reason))


def test_the_registry_lists_every_version_and_what_became_of_it(models: Path, tmp_path: Path) -> None:
    sent(tmp_path / "state", VERSIONS[2], "good", reason="forced past the gate")
    catalogue.refresh(models, tmp_path / "state", NOW)
    found = json.loads((models / catalogue.FILE).read_text())
    assert [entry["version"] for entry in found["models"]] == VERSIONS[::-1]
    assert found["active"] == {"wifi": VERSIONS[-1]}
    third = found["models"][3]
    assert third["forced"] is True
    assert [one["target"] for one in third["deployments"]] == ["attic"]
    assert third["metrics"] == {"recall": 0.9}
    assert (models / catalogue.FILE).stat().st_mode & 0o444 == 0o444, "others may read it"


def test_what_served_and_was_replaced_says_so(tmp_path: Path) -> None:
    """Only the newest transfer that came to serve at a target is about what serves there."""
    for version, how, target in (
        (VERSIONS[0], "loaded", "attic"),
        (VERSIONS[1], "good", "attic"),
        (VERSIONS[2], "returned", "attic"),
        (VERSIONS[0], "loaded", "barn"),
        (VERSIONS[3], "unknown", "attic"),
    ):
        sent(tmp_path, version, how, target)
    told = {(one.target, one.state, one.version): one.replaced for one in history.transfers(tmp_path)}
    assert [key for key, replaced in told.items() if replaced] == [("attic", "loaded", VERSIONS[0])]
    assert history.transfers(tmp_path, state="loaded", limit=1)[0].target == "barn"


def test_notes_and_evaluations_stay_when_the_rest_is_written_anew(models: Path, tmp_path: Path) -> None:
    catalogue.add_note(models, tmp_path, "wifi", VERSIONS[0], "before the move", NOW, by="me")
    for number in range(12):
        catalogue.add_evaluation(models, tmp_path, "wifi", VERSIONS[0], {"metrics": {"recall": number}}, NOW)
    catalogue.refresh(models, tmp_path, NOW)
    kept = catalogue.kept_of(models, "wifi", VERSIONS[0])
    assert kept["notes"][0]["text"] == "before the move"
    assert [one["metrics"]["recall"] for one in kept["evaluations"]] == list(range(2, 12)), "the newest ten"


@pytest.mark.parametrize(
    ("check", "counts"),
    [
        ({"value": 0.9, "note": ""}, True),
        ({"value": None, "note": "not measured"}, False),
        ({"value": 0.0, "note": "only 3 episodes: not checked"}, False),
    ],
)
def test_a_missed_gate_is_lifted_only_by_what_was_measured(check: dict[str, Any], counts: bool) -> None:
    missed = {"passed": False, "reason": "recall 0.4 is under 0.5", "checks": [{"value": 0.4, "passed": False}]}
    later = {"gate": {"passed": True, "reason": "", "checks": [{**check, "metric": "episode_recall", "passed": True}]}}
    assert catalogue.gate_of({"gate": missed}, {"evaluations": [later]})["passed"] is counts


def test_two_writers_lose_nothing(models: Path, tmp_path: Path) -> None:
    def write(name: int) -> None:
        for number in range(8):
            catalogue.add_note(models, tmp_path, "wifi", VERSIONS[1], f"{name}.{number}", NOW)

    threads = [threading.Thread(target=write, args=(name,)) for name in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(catalogue.kept_of(models, "wifi", VERSIONS[1])["notes"]) == 24


def test_a_disk_that_gets_full_leaves_no_half_version_and_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = layout.write_new

    def full(path: Path, data: bytes, mode: int = 0o644) -> None:
        if path.name == bundle.MANIFEST:
            raise OSError(errno.ENOSPC, "No space left on device")
        written(path, data, mode)

    monkeypatch.setattr(layout, "write_new", full)
    key = ensure_key(tmp_path / "state")
    with pytest.raises(StoreError, match=r"models cannot be written \(No space left on device\); make room"):
        registry.publish(
            tmp_path / "models", dict.fromkeys(bundle.FILES, b"{}"), agent="wifi", version=VERSIONS[0], key=key,
            state_dir=tmp_path / "state", now=lambda: NOW,
        )  # fmt: skip
    assert list((tmp_path / "models" / "wifi").iterdir()) == []


def test_a_registry_that_is_none_is_an_error_with_what_to_do(models: Path, tmp_path: Path) -> None:
    (models / catalogue.FILE).write_text("[]")
    with pytest.raises(StoreError, match="move it away"):
        catalogue.refresh(models, tmp_path, NOW)
    catalogue.refresh_or_warn(models, tmp_path, NOW)


def test_what_serves_or_may_serve_anywhere_is_held(models: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    sent(state, VERSIONS[0], "good", at=1)
    sent(state, VERSIONS[1], "unknown", at=2)
    sent(state, VERSIONS[2], "refused", at=3)
    sent(state, VERSIONS[3], "good", target="cellar", at=4)
    held = catalogue.held(models, state)
    assert held == {f"wifi_{VERSIONS[k]}" for k in (0, 1, 3, 5)}
    assert registry.prunable(models, 0, held=held) == [f"wifi_{VERSIONS[2]}", f"wifi_{VERSIONS[4]}"]
    assert registry.prune(models, 0, held=held) == [f"wifi_{VERSIONS[2]}", f"wifi_{VERSIONS[4]}"]
    assert layout.versions_in(models, "wifi") == [VERSIONS[k] for k in (0, 1, 3, 5)]


def test_retention_days_spare_what_is_young(models: Path) -> None:
    before = 1_772_496_000.0 + 86_400  # 4 March
    assert registry.prunable(models, 1, before=before) == [f"wifi_{version}" for version in VERSIONS[:3]]


def signed(models: Path, version: str) -> SignedBundle:
    raw = bundle.open_bundle(layout.bundle_folder(models, "wifi", version))
    return SignedBundle(bundle.verify(raw, None), raw)


def test_the_newest_evaluation_decides_whether_a_version_is_shipped(models: Path, tmp_path: Path) -> None:
    one = signed(models, VERSIONS[0])
    assert check_gate(one, False, models) == ""
    missed = {"gate": {"passed": False, "reason": "episode_recall is 0.2, at least 0.5 is asked for"}}
    catalogue.add_evaluation(models, tmp_path, "wifi", VERSIONS[0], missed, NOW)
    with pytest.raises(ShipError, match=r"episode_recall is 0\.2.*--force") as refused:
        check_gate(one, False, models)
    assert refused.value.code == "gate"
    assert check_gate(one, True, models) == "forced past the gate"
    catalogue.add_evaluation(models, tmp_path, "wifi", VERSIONS[0], {"gate": {"passed": True}}, NOW)
    assert check_gate(one, False, models) == ""
