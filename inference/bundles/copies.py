"""The private copy of a bundle that was verified here: read from the store, or made again from the inbox when it was lost.

The inbox belongs to somebody else. It replaces nothing but a copy whose manifest has the very hash that was verified when
the bundle came, so what it holds is as trustworthy as the copy was.
"""

from __future__ import annotations

import logging
from pathlib import Path

from inference.bundles.store import BundleStore
from shared import bundle
from shared.errors import BundleError
from shared.manifest import Manifest

logger = logging.getLogger(__name__)

Copy = tuple[Manifest, dict[str, bytes]]


def load_copy(store: BundleStore, inbox: Path, agent: str, version: str) -> Copy:
    """A version that was verified on this machine, hashed again.

    Raises:
        BundleError: the store's copy is gone or damaged, and the inbox does not hold the same bundle any more.
    """
    try:
        return store.load(agent, version)
    except (BundleError, OSError) as lost:
        manifest, raw = _same_in_inbox(store, inbox, agent, version, lost)
        logger.warning("copy made again from the inbox agent=%s version=%s lost=%s", agent, version, lost)
    try:
        store.shelf.keep(manifest, raw)
    except OSError as error:  # it serves all the same; the next start tries again
        logger.warning("copy not kept agent=%s version=%s error=%s", agent, version, error)
    return manifest, raw


def _same_in_inbox(store: BundleStore, inbox: Path, agent: str, version: str, lost: Exception) -> Copy:
    known = store.known(agent, version)
    code = lost.code if isinstance(lost, BundleError) else "io"
    try:
        with bundle.folder_of(inbox) as root, bundle.folder_of(agent, root) as home:
            raw = bundle.open_bundle(version, home)
        manifest = bundle.verify(raw, None)
    except (BundleError, OSError) as error:
        raise BundleError(code, f"{lost}; the inbox cannot replace it ({error}): ship it again") from error
    if known is None or manifest.sha256 != known.manifest_sha256:
        raise BundleError(code, f"{lost}; what lies in the inbox is not the bundle that was verified: ship it again")
    return manifest, raw
