"""Counting with bounded memory: the most frequent names of a stream, and ids that come twice."""

from __future__ import annotations

from collections import Counter

_CHUNK_BITS = 16  # 65,536 ids a chunk, 8 KB
_MAX_CHUNKS = 4096  # 32 MB: 268 million ids in a row


class Tally:
    """Counts names; when there are too many, the rarest half is forgotten (their counts are then too low)."""

    def __init__(self, size: int) -> None:
        self.distinct = 0  # names seen (one that was forgotten and came back counts twice)
        self._size = size
        self._counts: Counter[str] = Counter()

    def add(self, name: str) -> None:
        """One more of this name."""
        counts = self._counts
        if name in counts:
            counts[name] += 1
            return
        if len(counts) >= self._size:
            self._counts = counts = Counter(dict(counts.most_common(self._size // 2)))
        counts[name] = 1
        self.distinct += 1

    def top(self, number: int) -> dict[str, int]:
        """The most frequent names."""
        return dict(self._counts.most_common(number))


class SeenIds:
    """Which ids were there already: exact while they lie close together, as a table's ids do."""

    def __init__(self) -> None:
        self._chunks: dict[int, bytearray] = {}

    def seen_before(self, row_id: int) -> bool:
        """True when this id was given before; ids too scattered to remember are taken for new."""
        chunk = self._chunks.get(row_id >> _CHUNK_BITS)
        if chunk is None:
            if len(self._chunks) >= _MAX_CHUNKS:
                return False
            chunk = self._chunks[row_id >> _CHUNK_BITS] = bytearray(1 << (_CHUNK_BITS - 3))
        place = row_id & ((1 << _CHUNK_BITS) - 1)
        bit = 1 << (place & 7)
        found = bool(chunk[place >> 3] & bit)
        chunk[place >> 3] |= bit
        return found
