"""A bundle as it goes over the wire."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from shared import bundle, layout, signing
from shared.errors import BundleError
from shared.manifest import Manifest
from trainer.keys import SigningKey


@dataclass(frozen=True, slots=True)
class SignedBundle:
    """A bundle as it goes over the wire, its own signature checked."""

    manifest: Manifest
    raw: Mapping[str, bytes]


def load_signed(models: Path, agent: str, version: str, key: SigningKey) -> SignedBundle:
    """A version of this machine, with its signature checked as a Pi will check it.

    Raises:
        BundleError: it is not whole, or was not signed with this key.
    """
    raw = bundle.open_bundle(layout.bundle_folder(models, agent, version))
    if bundle.SIGNATURE not in raw:
        raise BundleError("unsigned", f"ship: {layout.model_id(agent, version)} has no signature")
    signing_line = f"{key.allowed_signers_line}\n".encode()
    signing.verify(raw[bundle.MANIFEST], raw[bundle.SIGNATURE], signing_line)
    manifest = bundle.verify(raw, None)
    if (manifest.agent, manifest.version) != (agent, version):
        raise BundleError("version", f"ship: the folder of {layout.model_id(agent, version)} holds {manifest.model_id}")
    return SignedBundle(manifest, raw)
