"""Bundles: written whole, and every flaw has its code."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from shared import bundle, layout
from shared.errors import BundleError
from shared.manifest import parse_manifest
from tests.fakes import V1, V2, Workshop, bundle_files


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


def refusal(workshop: Workshop, machine: str | None = None) -> str:
    with pytest.raises(BundleError) as error:
        bundle.verify(bundle.open_bundle(workshop.models / "wifi" / V1), workshop.allowed, machine=machine)
    assert error.value.code in bundle.REASONS
    return error.value.code


def test_a_written_bundle_verifies_and_says_what_it_is(workshop: Workshop) -> None:
    workshop.make(V1, audience=("attic", "cabin"), serial=7)
    raw = bundle.open_bundle(workshop.models / "wifi" / V1)
    manifest = bundle.verify(raw, workshop.allowed, machine="attic")
    assert (manifest.model_id, manifest.serial, manifest.audience) == (f"wifi_{V1}", 7, ("attic", "cabin"))
    assert json.loads(raw["MANIFEST.json"])["schema"] == 1
    assert set(manifest.files) == set(bundle.FILES)


def test_a_version_is_never_written_twice(workshop: Workshop) -> None:
    workshop.make(V1)
    with pytest.raises(BundleError, match="never changed"):
        workshop.make(V1)


def test_a_failed_write_leaves_nothing(workshop: Workshop) -> None:
    def no_pen(_data: bytes) -> bytes:
        raise OSError("no pen")

    with pytest.raises(OSError, match="no pen"):
        bundle.write_bundle(
            workshop.models / "wifi" / V1,
            bundle_files(),
            agent="wifi",
            version=V1,
            serial=1,
            audience=("*",),
            sign=no_pen,
        )
    assert list((workshop.models / "wifi").iterdir()) == []


def instead(path: Path, make: Callable[[Path], object]) -> None:
    path.unlink()
    make(path)


FLAWS: list[tuple[str, Callable[[Path], object]]] = [
    ("hash", lambda f: (f / "scorer.npz").write_bytes(bytes(len((f / "scorer.npz").read_bytes())))),
    ("size", lambda f: (f / "scorer.npz").write_bytes(b"")),
    ("missing_file", lambda f: (f / "golden.json").unlink()),
    ("manifest", lambda f: (f / "MANIFEST.json").unlink()),
    ("unsigned", lambda f: (f / "MANIFEST.json.sig").unlink()),
    ("unsigned", lambda f: (f / "MANIFEST.json.sig").write_bytes(b"")),
    ("signature", lambda f: (f / "MANIFEST.json.sig").write_bytes(b"hello")),
    ("signature", lambda f: (f / "MANIFEST.json").write_bytes(b"{}")),
    ("extra_file", lambda f: (f / ".git").mkdir()),
    ("extra_file", lambda f: (f / "evil.so").write_bytes(b"")),
    ("not_regular", lambda f: layout.swap_link(f / "report.html", "/etc/passwd")),
    ("not_regular", lambda f: instead(f / "report.html", os.mkdir)),
    ("not_regular", lambda f: instead(f / "report.html", os.mkfifo)),
    ("too_large", lambda f: os.truncate(f / "agent.yaml", (1 << 20) + 1)),
]


@pytest.mark.parametrize(("code", "spoil"), FLAWS)
def test_every_flaw_has_its_code(workshop: Workshop, code: str, spoil: Callable[[Path], object]) -> None:
    workshop.make(V1)
    spoil(workshop.models / "wifi" / V1)
    assert refusal(workshop) == code


def test_a_bundle_for_others_is_refused(workshop: Workshop) -> None:
    workshop.make(V1, audience=("cabin",))
    assert refusal(workshop, machine="attic") == "audience"


def test_without_allowed_signers_nothing_is_trusted(workshop: Workshop) -> None:
    workshop.make(V1)
    workshop.allowed.unlink()
    assert refusal(workshop) == "unsigned"


MANIFESTS: list[Callable[[dict[str, object]], object]] = [
    lambda m: m.update(schema=2),
    lambda m: m.update(serial="7"),
    lambda m: m.update(serial=True),
    lambda m: m.update(serial=7.0),
    lambda m: m.update(serial=-1),
    lambda m: m.update(agent="../wifi"),
    lambda m: m.update(version="latest"),
    lambda m: m.update(audience=[]),
    lambda m: m.update(audience="attic"),
    lambda m: m.update(audience=["a\nb"]),
    lambda m: m.update(more=1),
    lambda m: m.update(files=[]),
    lambda m: m.pop("files"),
]


@pytest.mark.parametrize("change", MANIFESTS)
def test_a_signed_manifest_of_another_shape_is_refused(
    workshop: Workshop, change: Callable[[dict[str, object]], object]
) -> None:
    raw = dict(workshop.make(V1).raw)
    fields = json.loads(raw["MANIFEST.json"])
    change(fields)
    raw["MANIFEST.json"] = bundle.canonical(fields)
    raw["MANIFEST.json.sig"] = workshop.key.sign(raw["MANIFEST.json"])
    with pytest.raises(BundleError) as error:
        bundle.verify(raw, workshop.allowed)
    assert error.value.code == "manifest"


def test_a_signed_manifest_that_announces_too_large_a_file_is_refused_before_the_file_is_read() -> None:
    def announcing(size: int) -> bytes:
        entry = {"size": size, "sha256": "0" * 64}
        files = {name: {"size": 1, "sha256": "0" * 64} for name in bundle.FILES} | {"agent.yaml": entry}
        fields = {"schema": 1, "agent": "wifi", "version": V1, "serial": 1, "audience": "*", "files": files}
        return bundle.canonical(fields)

    limit = bundle.LIMITS["agent.yaml"]
    assert parse_manifest(announcing(limit)).files["agent.yaml"].size == limit
    with pytest.raises(BundleError) as error:
        parse_manifest(announcing(limit + 1))
    assert error.value.code == "too_large"


@pytest.mark.parametrize("text", [b"", b"[]", b"null", b'{"a":1', b"[" * 100_000, b"\xff\xfe", b"NaN"])
def test_signed_nonsense_is_refused(workshop: Workshop, text: bytes) -> None:
    raw = {**workshop.make(V1).raw, "MANIFEST.json": text, "MANIFEST.json.sig": workshop.key.sign(text)}
    with pytest.raises(BundleError) as error:
        bundle.verify(raw, workshop.allowed)
    assert error.value.code == "manifest"


def test_two_keys_of_one_name_in_a_manifest_are_refused(workshop: Workshop) -> None:
    raw = dict(workshop.make(V1).raw)
    twice = raw["MANIFEST.json"].replace(b'"serial":', b'"serial":1,"serial":')
    raw |= {"MANIFEST.json": twice, "MANIFEST.json.sig": workshop.key.sign(twice)}
    with pytest.raises(BundleError, match="canonical"):
        bundle.verify(raw, workshop.allowed)


def test_an_unlisted_file_in_memory_is_refused(workshop: Workshop) -> None:
    raw = {**workshop.make(V2).raw, "evil.so": b""}
    with pytest.raises(BundleError) as error:
        bundle.verify(raw, workshop.allowed)
    assert error.value.code == "extra_file"
