"""A disk on paper: what of a sender's own operations may be left after the power went, and a Remote that writes them down."""

from __future__ import annotations

import itertools
import os
from typing import Any

from trainer.remote import Progress, no_progress


class PaperDisk:
    """What may be on a disk after a power cut: each operation that was not synced is there or not, independently.

    Names live in folders (numbered), `durable` says which operations can no longer be lost.
    """

    def __init__(self) -> None:
        self.ops: list[tuple[Any, ...]] = []
        self.trees: list[list[bool]] = []

    def replay(self, kept: set[int], count: int) -> dict[tuple[int, str], Any]:
        names: dict[tuple[int, str], Any] = {}
        for number, op in enumerate(self.ops[:count]):
            if number not in kept:
                continue
            if op[0] == "name":
                names[op[1], op[2]] = op[3]
            elif op[0] == "move":
                names.pop((op[1], op[2]), None)
                names[op[3], op[4]] = op[5]
            elif op[0] == "data":
                names[-1, str(op[1])] = "whole"
            elif op[0] == "gone":
                names.pop((op[1], op[2]), None)
        return names

    def durable(self, count: int) -> tuple[set[int], list[int]]:
        """Operations before `count` that are safe, and those that may be lost."""
        safe: set[int] = set()
        for number, op in enumerate(self.ops[:count]):
            if op[0] == "sync":
                safe |= {n for n, o in enumerate(self.ops[:number]) if o[0] in ("name", "gone") and o[1] == op[1]}
                safe |= {n for n, o in enumerate(self.ops[:number]) if o[0] == "move" and o[3] == op[1]}
            elif op[0] == "fsync":
                safe |= {n for n, o in enumerate(self.ops[:number]) if o[0] == "data" and o[1] == op[1]}
        return safe, [n for n, o in enumerate(self.ops[:count]) if n not in safe and o[0] not in ("sync", "fsync")]


class Recorder:
    """A Remote that writes on paper: the operations of the real sender, in their order."""

    def __init__(self, disk: PaperDisk) -> None:
        self.disk = disk
        self.live: dict[str, Any] = {".": ("folder", 0)}
        self.inodes = itertools.count(1)

    def _dir(self, path: str) -> tuple[int, str]:
        folder, _, name = os.path.normpath(path).rpartition("/")
        return self.live[folder or "."][1], name

    def _put(self, path: str, node: Any) -> None:
        self.live[os.path.normpath(path)] = node
        self.disk.ops.append(("name", *self._dir(path), node))

    def make_folder(self, path: str) -> None:
        if os.path.normpath(path) not in self.live:
            self._put(path, ("folder", next(self.inodes)))

    def write_new(self, path: str, data: bytes, progress: Progress = no_progress) -> None:
        inode = next(self.inodes)
        self._put(path, ("file", inode, data))
        self.disk.ops += [("data", inode), ("fsync", inode)]

    def sync_folder(self, path: str) -> None:
        self.disk.ops.append(("sync", self.live[os.path.normpath(path)][1]))

    def rename(self, old: str, new: str) -> None:
        old, new = os.path.normpath(old), os.path.normpath(new)
        source, target, node = self._dir(old), self._dir(new), self.live[old]
        moved = {
            new + path[len(old) :]: self.live.pop(path)
            for path in list(self.live)
            if path == old or path.startswith(old + "/")
        }
        self.live.update(moved)
        self.disk.ops.append(("move", *source, *target, node))

    def make_link(self, target: str, path: str) -> None:
        self._put(path, ("link", target))

    def read(self, path: str, limit: int) -> bytes | None:
        node = self.live.get(os.path.normpath(path))
        return node[2][:limit] if node else None

    def read_link(self, path: str) -> str | None:
        node = self.live.get(os.path.normpath(path))
        return node[1] if node and node[0] == "link" else None

    def names(self, path: str) -> list[tuple[str, float]]:
        here = "" if path == "." else os.path.normpath(path) + "/"
        return [
            (p[len(here) :], 0.0) for p in self.live if p.startswith(here) and "/" not in p[len(here) :] and p != "."
        ]

    def remove(self, path: str) -> None:
        raise AssertionError("nothing is old here")

    def free_bytes(self) -> int | None:
        return None

    def close(self) -> None:
        pass


def wished(names: dict[tuple[int, str], Any], contents: dict[str, dict[str, bytes]]) -> str:
    """What a Pi finds after the cut: a whole version's name, `none`, `dangling` or `torn`."""
    home = names.get((0, "wifi"))
    link = names.get((home[1], "active")) if home else None
    if link is None:
        return "none"
    folder = names.get((home[1], link[1])) if home else None
    if folder is None:
        return "dangling"
    found = {name: node for (inode, name), node in names.items() if inode == folder[1]}
    whole = all(names.get((-1, str(node[1]))) for node in found.values())
    same = {name: node[2] for name, node in found.items()} == contents[link[1]]
    return link[1] if whole and same else "torn"
