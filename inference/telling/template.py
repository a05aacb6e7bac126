"""The words of an incident's message as a text with gaps: Pipit's own, or one that somebody wrote in a file.

The first line is the title, the rest the body. `{host}` and the other names in `NAMES` stand for what they say; a line
of which nothing is left once they are filled in (`{moved}` where nothing moved) is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Formatter

from shared.errors import ConfigError

# name → what it stands for, in words
NAMES = {
    "severity": "info, warning or critical",
    "kind": "what it is, such as psk bruteforce",
    "host": "where",
    "change": "(now more severe) where its severity has risen, else nothing",
    "description": "what happened, in a sentence",
    "since": "when it began, in UTC",
    "windows": "how many windows",
    "rarity": "how rare, such as 1 in 2,000 windows",
    "confidence": "how sure, in per cent",
    "found_by": "model, rule, both or silence",
    "moved": "the features that moved most, a line each",
    "link": "its page, where INFERENCE_PAGE_URL is set",
    "agent": "which agent",
}
OWN = (
    "{severity}: {kind} on {host} {change}\n{description}\n"
    "since {since}, {windows}, {rarity}, {confidence} sure (found by {found_by})\n{moved}\n{link}"
)
MOST_CHARS = 4_000


@dataclass(frozen=True, slots=True)
class Template:
    """A text with gaps that are all known."""

    text: str

    def fill(self, values: Mapping[str, str]) -> tuple[str, str]:
        """(title, body); a name that has no value is empty, a title of which nothing is left becomes the kind."""
        lines = []
        for line in self.text.split("\n"):
            filled = line.format_map({name: values.get(name, "") for name in NAMES}).strip()
            if filled or not line.strip():
                lines.append(filled)
        title, *body = lines or [""]
        return title or values.get("kind", ""), "\n".join(body).strip("\n")


OWN_WORDS = Template(OWN)


def parse(text: str, where: str) -> Template:
    """Check a text.

    Raises:
        ConfigError: it has no title, is too long, or has a gap that nothing fills; `where` is named.
    """
    if not text.split("\n")[0].strip() or len(text) > MOST_CHARS:
        raise ConfigError(f"{where}: the first line is the title, and at most {MOST_CHARS:,} characters are read")
    try:
        gaps = [(name, form, turn) for _, name, form, turn in Formatter().parse(text) if name is not None]
    except ValueError as error:
        raise ConfigError(f"{where}: {error}; a brace that is meant as one is written twice") from None
    for name, form, turn in gaps:
        if name not in NAMES or form or turn:
            raise ConfigError(f"{where}: nothing fills {{{name}}}; known are {', '.join(NAMES)}")
    return Template(text.rstrip("\n"))


def read_template(path: Path | None) -> Template:
    """The template in a file; Pipit's own where none is named.

    Raises:
        ConfigError: it cannot be read, or is none.
    """
    if path is None:
        return OWN_WORDS
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"settings: INFERENCE_NOTIFY_TEMPLATE {path}: {error}") from None
    return parse(text, f"settings: INFERENCE_NOTIFY_TEMPLATE {path}")
