"""The settings as they are: read here, changed in the file or the environment. No secret is shown."""

from __future__ import annotations

from flask import Flask, render_template
from flask.typing import ResponseReturnValue

from trainer.config import PREFIX, Settings
from trainer.keys import KEY
from trainer.model_config import known_keys
from trainer.web.room import this_room

HIDDEN = "set, not shown"


def add_pages(app: Flask) -> None:
    """Attach the route."""
    app.add_url_rule("/settings", "settings", settings)


def settings() -> ResponseReturnValue:
    """Every setting, its value, and where it comes from if it is not the default."""
    from shared.config import known_settings

    room, rows, changed = this_room(), [], 0
    for name, known in known_settings(Settings, PREFIX).items():
        value = getattr(room.settings, name)
        is_default = value == known.default
        changed += not is_default
        shown = HIDDEN if known.secret and value else _shown(value)
        rows.append((known.env, shown, known.unit, "" if is_default else _shown(known.default) or "empty", known.doc))
    model = [(key, _shown(one.default), one.unit, one.doc) for key, one in known_keys().items()]
    key = room.settings.signing_key or room.state_dir / KEY
    return render_template(
        "settings.html",
        at="Settings",
        rows=rows,
        changed=changed,
        model=model,
        key=key,
        file=room.settings.model_config_file,
    )


def _shown(value: object) -> str:
    if value is None or value == ():
        return ""
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
