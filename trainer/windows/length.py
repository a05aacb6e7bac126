"""Another window length than the agent file's own: a file that says so, because the file travels with the model."""

from __future__ import annotations

import re

from shared.agent import AgentSpec, parse_agent
from shared.errors import ConfigError

LENGTHS = (60, 120, 180, 300, 600, 900)  # seconds; the trailing view stays what it is, so they must divide it
_LINES = {name: re.compile(rf"(?m)^{name}:.*$") for name in ("window_s", "long_windows")}


def with_window(spec: AgentSpec, window_s: float | None) -> AgentSpec:
    """The agent with windows of `window_s` seconds and the same trailing view; None: as it is.

    Raises:
        ConfigError: the length does not divide the trailing view.
    """
    if window_s is None or window_s == spec.window_s:
        return spec
    view = spec.window_s * spec.long_windows
    if view % window_s or view / window_s < 2:
        raise ConfigError(
            f"features.window_s: {window_s:g} s does not divide the agent's trailing view of {view:g} s; "
            f"{', '.join(f'{length}' for length in LENGTHS if not view % length)} do"
        )
    text = spec.raw.decode("utf-8")
    for name, value in (("window_s", f"{window_s:g}"), ("long_windows", f"{round(view / window_s)}")):
        line = f"{name}: {value}"
        text, count = _LINES[name].subn(line, text, count=1)
        if not count:
            text = f"{text.rstrip()}\n{line}\n"
    return parse_agent(text.encode("utf-8"), f"{spec.name} with windows of {window_s:g} s")
