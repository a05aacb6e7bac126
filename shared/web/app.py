"""`build_app`: the Flask application that both admin sites start from, with everything a page can rely on.

Both are built the same way: strict headers, one login, CSRF on every form, one set of templates. A site adds its own
pages and its own part of the API, names its public endpoints, and nothing else is reachable without signing in.
"""

from __future__ import annotations

import hashlib
import logging
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple, cast

from flask import Flask, g, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFProtect
from jinja2 import FileSystemLoader

from shared import __version__
from shared.clean import clean
from shared.web import words
from shared.web.account import Account
from shared.web.headers import add_headers
from shared.web.meter import Meter
from shared.web.tries import Tries
from shared.web.visible import visible, with_code

logger = logging.getLogger(__name__)

HERE = Path(__file__).parent
SESSION_S = 8 * 3600
BODY_BYTES = 64 * 1024  # a form is small; a route that takes files widens its own request
SiteName = Literal["pi", "trainer"]


class NavItem(NamedTuple):
    """One entry of the bar: its words, the endpoint it leads to, its icon, the key of its badge, what lies below it.

    under: the first parts of addresses that belong to it besides its own; an error there leads back to it.
    """

    words: str
    endpoint: str
    icon: str
    badge: str = ""
    under: tuple[str, ...] = ()


@dataclass
class Site:
    """What the pages of one site share; kept in `app.extensions["pipit"]`."""

    name: SiteName
    place: str
    home: str
    nav: Sequence[NavItem]
    account: Account
    limiter: Tries
    csrf: CSRFProtect
    meter: Meter
    now: Callable[[], float]
    public: frozenset[str]
    badges: Callable[[], Mapping[str, int]] = field(default=dict)
    more: Sequence[tuple[str, str]] = ()  # words and endpoint of pages that only the footer leads to


def build_app(
    import_name: str,
    *,
    site: SiteName,
    place: str,
    home: str,
    nav: Sequence[NavItem],
    state_dir: Path,
    public: frozenset[str] = frozenset(),
    trusted_hosts: Sequence[str] = (),
    now: Callable[[], float] = time.time,
) -> Flask:
    """An application with login, headers, templates and error pages, and no pages of its own yet.

    public: endpoints that answer without signing in, besides login, set-up, theme and the static files. trusted_hosts:
    further names under which a browser may ask for this site (the machine's own names and addresses always count):
    a page elsewhere must not reach us by pointing its own name at us.
    """
    from shared.web.account_pages import PUBLIC, add_account_pages
    from shared.web.guard import add_guard
    from shared.web.refusals import add_refusals

    app = Flask(import_name, static_folder=str(HERE / "static"), static_url_path="/static")
    app.jinja_loader = FileSystemLoader([str(Path(app.root_path) / "templates"), str(HERE / "templates")])
    account = Account(state_dir, now)
    app.config.update(
        SECRET_KEY=account.session_key(),
        SESSION_COOKIE_NAME=f"pipit_{site}",  # cookies know no ports: two sites on one machine must not share one
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Strict",
        PERMANENT_SESSION_LIFETIME=SESSION_S,
        MAX_CONTENT_LENGTH=BODY_BYTES,
        MAX_FORM_PARTS=200,
        TRUSTED_HOSTS=[*own_names(), *trusted_hosts],
        WTF_CSRF_TIME_LIMIT=None,  # a form stays good as long as its session
    )
    csrf = CSRFProtect()
    shared_site = Site(
        site, place, home, nav, account, Tries(), csrf, Meter(site), now, public=public | PUBLIC | {"static", "metrics"}
    )
    app.extensions["pipit"] = shared_site
    _add_metering(app, shared_site.meter)
    add_guard(app)  # before CSRF: who is not signed in is sent to the login, not told about a missing token
    csrf.init_app(app)
    add_headers(app)
    add_refusals(app)
    add_account_pages(app)
    _add_template_helpers(app, shared_site)
    account.setup_token()
    return app


def own_names() -> list[str]:
    """The names and addresses under which this machine may be asked for."""
    host = socket.gethostname().lower()
    names = {"localhost", "127.0.0.1", "[::1]", host, host.split(".")[0], f"{host.split('.')[0]}.local"}
    try:
        names.update(str(found[4][0]) for found in socket.getaddrinfo(host, None, socket.AF_INET))
    except OSError:
        logger.debug("the machine's own name has no address host=%s", host)
    return sorted(names)


def _add_template_helpers(app: Flask, site: Site) -> None:
    app.jinja_env.filters.update(
        v=visible,
        code=with_code,
        plain=clean,
        amount=words.amount,
        size=words.size,
        clock=words.clock,
        day=words.day,
        stamp=words.stamp,
        lasted=words.lasted,
        sentence=words.sentence,
        rarity=words.rarity,
        role=words.role,
        sev=words.severity_class,
        sevname=words.severity_name,
    )
    app.jinja_env.globals.update(counted=words.counted, figure=words.figure, some_of=words.some_of, asset=_asset)
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True

    @app.context_processor
    def _page() -> dict[str, object]:
        """What base.html needs on every page."""
        theme = request.cookies.get("pipit_theme", "")
        return {
            "site": site.name,
            "place": site.place,
            "home": site.home,
            "nav": site.nav if g.get("signed_in") else (),
            "more_pages": site.more if g.get("signed_in") else (),
            "badges": site.badges() if g.get("signed_in") else {},
            "theme": theme if theme in ("light", "dark") else "",
            "now": site.now(),
            "release": __version__,
            "signed_in": bool(g.get("signed_in")),
            "notice": session.pop("notice", None),
        }


def _asset(name: str) -> str:
    """The address of a static file with the hash of its content, so that browsers may keep it for ever."""
    return url_for("static", filename=name, v=_content_hash(name))


@lru_cache(maxsize=16)
def _content_hash(name: str) -> str:
    return hashlib.sha256((HERE / "static" / name).read_bytes()).hexdigest()[:12]


def _add_metering(app: Flask, meter: Meter) -> None:
    @app.before_request
    def _begin() -> ResponseReturnValue | None:
        g.begun = time.perf_counter()
        return None

    @app.after_request
    def _counted(response):  # type: ignore[no-untyped-def]  # Flask's own hook type is not expressible here
        meter.count(request.endpoint, response.status_code, time.perf_counter() - g.get("begun", time.perf_counter()))
        return response


def this_site() -> Site:
    """The site that the current request belongs to."""
    from flask import current_app

    return cast(Site, current_app.extensions["pipit"])
