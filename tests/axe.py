"""axe-core over the page that a Chromium shows: what a person with a screen reader, a keyboard or weak eyes would stumble over.

Its script comes out of an installed package and is handed in through the driver, so a strict content policy stays as it
is. Look at a page as everybody would meet it: set width and theme first (`tests.chromium.look`).
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from selenium import webdriver

LEVELS = ("minor", "moderate", "serious", "critical")
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
SHOWN = 3  # places of one finding that are told
_UNFOLD = "document.querySelectorAll('details').forEach(d => d.open = true)"
_RUN = """
const done = arguments[arguments.length - 1];
const options = {runOnly: {type: 'tag', values: arguments[0]}, resultTypes: ['violations']};
axe.run(document, options).then(found => done(found.violations), error => done({fault: String(error)}));
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule that a page breaks. `level`: minor, moderate, serious or critical; `places`: CSS selector and why."""

    rule: str
    level: str
    words: str
    places: tuple[str, ...]

    def __str__(self) -> str:
        more = f" and {len(self.places) - SHOWN} more" if len(self.places) > SHOWN else ""
        return f"{self.level} {self.rule}: {self.words}\n    " + "\n    ".join(self.places[:SHOWN]) + more


def findings(driver: webdriver.Chrome, least: str = "serious", *, without: Iterable[str] = ()) -> list[Finding]:
    """What the page that is shown breaks, `least` and worse, with everything unfolded; `without`: rules left out.

    Raises:
        RuntimeError: axe-core itself failed on the page.
    """
    driver.execute_script(_UNFOLD)
    if not driver.execute_script("return typeof window.axe === 'object'"):
        driver.execute_script(_script())
    found = driver.execute_async_script(_RUN, list(RULES))
    if isinstance(found, dict):
        raise RuntimeError(f"axe-core failed on {driver.current_url}: {found['fault']}")
    wanted = LEVELS[LEVELS.index(least) :]
    left_out = set(without)
    return [_read(one) for one in found if one["impact"] in wanted and one["id"] not in left_out]


def in_words(path: str, found: Sequence[Finding]) -> str:
    """For an assertion's message: the page and everything found on it."""
    return f"{path}:\n  " + "\n  ".join(str(one) for one in found)


def _read(one: dict[str, Any]) -> Finding:
    places = tuple(
        f"{' '.join(str(part) for part in node['target'])} ({' '.join(str(node.get('failureSummary', '')).split())})"
        for node in one["nodes"]
    )
    return Finding(one["id"], one["impact"], one["help"], places)


@functools.cache
def _script() -> str:
    text = resources.files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
    # The driver runs a script as a function's body: axe is told where the page keeps its globals.
    return text + "\nwindow.axe = window.axe || axe;"
