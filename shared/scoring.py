"""The fitted Pipeline as plain arrays: impute ▸ clip ▸ scale ▸ forest, with numpy alone and without pickles.

A score is 2^(−mean path length / c(n)) as in Liu, Ting and Zhou, "Isolation Forest" (2008): between 0 and 1, **higher is
stranger**. It equals scikit-learn's −score_samples to a few ulp; the tests hold that.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.errors import BundleError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]

CHUNK = 256  # rows scored at once: keeps the working set in a small processor's cache
MAX_UNPACKED_BYTES = 32 * 1024 * 1024
MAX_NODES = 2_000_000
MAX_DEPTH = 64  # of a tree; scikit-learn's isolation trees stop at log2(max_samples)


@dataclass(frozen=True)
class Forest:
    """One role's Pipeline. J features, N nodes of T trees laid end to end, level by level.

    median, low, high, mean, scale: (J,), of the steps before the forest. feature, threshold, left, path: (N,). A node's
    right child lies behind its left one; a leaf's left child is itself, and its threshold infinite. path: expected path
    length below a node, from its training points. root: (T,). normalizer: c(max_samples).
    """

    median: Floats
    low: Floats
    high: Floats
    mean: Floats
    scale: Floats
    feature: Ints
    threshold: Floats
    left: Ints
    path: Floats
    root: Ints
    normalizer: Floats

    def prepare(self, z: Floats) -> Floats:
        """The steps before the forest: (n, J) spread units to what the trees compare, rounded to 32 bit as scikit-learn does."""
        filled = np.where(np.isnan(z), self.median, z)
        prepared = ((np.clip(filled, self.low, self.high) - self.mean) / self.scale).astype(np.float32)
        return prepared.astype(np.float64)

    @cached_property
    def depth(self) -> int:
        """Steps from a root to the deepest leaf."""
        node, depth = _different(self.root), 0
        while (node := node[self.left[node] != node]).size:
            node = _different(np.concatenate([self.left[node], self.left[node] + 1]))
            depth += 1
        return depth

    def score(self, z: Floats) -> Floats:
        """Scores of (n, J) windows, shape (n,); higher is stranger."""
        x = self.prepare(z)
        scores = np.empty(len(x))
        for start in range(0, len(x), CHUNK):
            leaves = self._leaves(x[start : start + CHUNK])
            scores[start : start + CHUNK] = np.exp2(-self.path.take(leaves).mean(-1) / self.normalizer)
        return scores

    def _leaves(self, x: Floats) -> Ints:
        """The leaf that each row of (n, J) prepared values ends in, per tree: (n, T), or (T,) of a single row."""
        node, first, flat = self.root, np.intp(0), x.ravel()
        if len(x) > 1:
            node = np.repeat(self.root[None], len(x), 0)
            first = (np.arange(len(x)) * x.shape[1])[:, None]  # where each row begins in the flat values
        for _ in range(self.depth):
            feature = self.feature.take(node)
            if len(x) > 1:
                feature += first
            node = self.left.take(node) + (flat.take(feature) > self.threshold.take(node))
        return node

    def attribute(self, z: Floats) -> Floats:
        """What each feature adds to log2(score) of one window, shape (J,): (J,) spread units in; positive is stranger.

        The change of the expected path length at each split is booked on the split's feature (path attribution, as in
        treeinterpreter): the sum over features and the roots' own expectation is exactly log2 of the score.
        """
        x = self.prepare(z[None])[0]
        node = self.root
        parts = np.zeros(len(z))
        for _ in range(self.depth):
            feature = self.feature.take(node)
            below = self.left.take(node) + (x.take(feature) > self.threshold.take(node))
            parts += np.bincount(feature, self.path.take(node) - self.path.take(below), len(z))
            node = below
        attributed: Floats = parts / (len(self.root) * self.normalizer)
        return attributed


_INTS = {"feature", "left", "root"}


def dump_forests(forests: Mapping[str, Forest]) -> bytes:
    """The bytes of scorer.npz: arrays named `<role>.<part>`."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for role, forest in forests.items():
            for part in fields(Forest):
                entry = zipfile.ZipInfo(f"{role}.{part.name}.npy")  # with a fixed date: equal forests, equal bytes
                entry.compress_type = zipfile.ZIP_DEFLATED
                array = io.BytesIO()
                np.lib.format.write_array(array, _small(part.name, getattr(forest, part.name)), allow_pickle=False)
                archive.writestr(entry, array.getvalue())
    return buffer.getvalue()


def _small(part: str, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The array in fewer bytes that score alike, to the last bit."""
    if array.dtype.kind == "i":
        return array.astype(np.int32)
    if part != "threshold":
        return array
    # windows are compared as 32-bit figures: the largest of those not above a threshold parts them as the threshold does
    near = array.astype(np.float32)
    return np.where(near > array, np.nextafter(near, np.float32(-np.inf)), near)


def load_forests(data: bytes) -> dict[str, Forest]:
    """Read scorer.npz without pickles, and check every figure before it is used. Raises BundleError("load")."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
            if size > MAX_UNPACKED_BYTES:
                raise ValueError(f"unpacks to {size:,} bytes, more than {MAX_UNPACKED_BYTES:,}")
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        roles = sorted({name.rpartition(".")[0] for name in arrays})
        forests = {role: _forest(role, arrays) for role in roles}
        if not forests:
            raise ValueError("there is no forest in it")
    except (
        ValueError,
        KeyError,
        OSError,
        EOFError,
        TypeError,
        zipfile.BadZipFile,
        NotImplementedError,
        MemoryError,
    ) as error:
        raise BundleError("load", f"scorer.npz cannot be used: {error}") from None
    return forests


def _forest(role: str, arrays: Mapping[str, npt.NDArray[np.generic]]) -> Forest:
    parts: dict[str, npt.NDArray[np.generic]] = {}
    for part in fields(Forest):
        array = arrays[f"{role}.{part.name}"]
        kind = "iu" if part.name in _INTS else "f"
        if array.dtype.kind not in kind:
            raise ValueError(f"{role}.{part.name} has type {array.dtype}")
        parts[part.name] = array.astype(np.intp if part.name in _INTS else np.float64)
    forest = Forest(**parts)  # type: ignore[arg-type]
    _check(role, forest)
    return forest


def _check(role: str, forest: Forest) -> None:
    width, nodes = forest.median.size, forest.feature.size
    for name in ("median", "low", "high", "mean", "scale"):
        if getattr(forest, name).shape != (width,) or not np.isfinite(getattr(forest, name)).all():
            raise ValueError(f"{role}.{name} needs {width} finite figures")
    if not 0 < nodes <= MAX_NODES or not 0 < forest.root.size <= nodes or forest.root.ndim != 1:
        raise ValueError(f"{role} has {nodes} nodes and {forest.root.size} trees")
    for name in ("feature", "threshold", "left", "path"):
        if getattr(forest, name).shape != (nodes,):
            raise ValueError(f"{role}.{name} needs {nodes} figures")
    me = np.arange(nodes)
    leaf = forest.left == me
    if not (forest.left >= me).all() or not np.isposinf(forest.threshold[leaf]).all():
        raise ValueError(f"{role}: a tree turns back on itself")
    if (forest.left[~leaf] + 1 >= nodes).any() or forest.root.min() < 0 or forest.root.max() >= nodes:
        raise ValueError(f"{role}: a child lies outside the trees")
    if not _shallow(forest):
        raise ValueError(f"{role}: a tree is deeper than {MAX_DEPTH}")
    if forest.feature.min() < 0 or forest.feature.max() >= width:
        raise ValueError(f"{role}: a split names a feature that is not there")
    if np.isnan(forest.threshold).any() or not np.isfinite(forest.path).all() or (forest.scale <= 0).any():
        raise ValueError(f"{role}: thresholds, paths and scales must be numbers")
    if forest.normalizer.shape != () or not forest.normalizer > 0:
        raise ValueError(f"{role}: the normalizer must be positive")


def _different(nodes: Ints) -> Ints:
    """As np.unique, which loads numpy.ma for it: 1.5 MB that the daemon would carry."""
    nodes = np.sort(nodes)
    return nodes[np.append(True, nodes[1:] != nodes[:-1])] if nodes.size else nodes


def _shallow(forest: Forest) -> bool:
    """Whether every tree ends within `MAX_DEPTH`, found in as many steps and without growing where nodes are shared."""
    node = _different(forest.root)
    for _ in range(MAX_DEPTH):
        node = node[forest.left[node] != node]
        if not node.size:
            return True
        node = _different(np.concatenate([forest.left[node], forest.left[node] + 1]))
    return False
