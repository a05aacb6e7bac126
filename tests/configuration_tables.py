"""The tables of docs/configuration.md, from the settings themselves: `python -m tests.configuration_tables` rewrites them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import inference.config
import trainer.config
from shared.config import Known, known_settings
from trainer.model_config import known_keys
from trainer.model_keys import NO_EFFECT, RENAMED

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "configuration.md"


def tables() -> dict[str, str]:
    """Every table of the document by the name in its markers."""
    training = known_settings(trainer.config.Settings, trainer.config.PREFIX)
    serving = known_settings(inference.config.Settings, inference.config.PREFIX)
    return {
        "trainer": _table("setting", ((known.env, known) for known in training.values())),
        "trainer-without-effect": _reasons(
            {f"{trainer.config.PREFIX}{name.upper()}": why for name, why in trainer.config.Settings.NO_EFFECT.items()}
        ),
        "pi": _table("setting", ((known.env, known) for known in serving.values())),
        "model": _table("key", known_keys().items()).replace(
            "`model.max_features` | `1` |", "`model.max_features` | `1.0` |"
        ),
        "model-renamed": _rows(("also as", "is"), ((f"`{old}`", f"`{new}`") for old, new in RENAMED.items())),
        "model-without-effect": _reasons(NO_EFFECT),
    }


def written(text: str) -> str:
    """The document with every table between its markers made anew."""
    made = tables()

    def fill(match: re.Match[str]) -> str:
        return f"<!-- table: {match[1]} -->\n{made[match[1]]}\n<!-- end -->"

    return re.sub(r"<!-- table: ([a-z-]+) -->\n.*?<!-- end -->", fill, text, flags=re.DOTALL)


def _table(first: str, known: Iterable[tuple[str, Known]]) -> str:
    return _rows(
        (first, "default", "unit", "allowed", "what it is"),
        ((f"`{name}`", _default(each), each.unit, each.allowed, each.doc) for name, each in known),
    )


def _reasons(reasons: Mapping[str, str]) -> str:
    return _rows(("key", "why nothing comes of it"), ((f"`{key}`", why) for key, why in reasons.items()))


def _rows(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _default(known: Known) -> str:
    text = f"{known.default:g}" if isinstance(known.default, float) else str(known.default)
    return "" if known.default in (None, (), "") else f"`{text}`"


if __name__ == "__main__":
    DOCUMENT.write_text(written(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
