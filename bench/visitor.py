"""Somebody who signs in to a site that is served on this machine, and reads pages."""

from __future__ import annotations

import http.cookiejar
import urllib.parse
import urllib.request
from collections.abc import Callable

from tests.services import wait_until
from tests.web_client import CSRF, PASSWORD

Get = Callable[[str], str]


def signed_in(bind: str, ready: Callable[[], bool] = lambda: True) -> Get:
    """What reads a page of the site at HOST:PORT, once it answers and `ready()` holds."""
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))

    def get(path: str, **form: str) -> str:
        data = urllib.parse.urlencode(form).encode() if form else None
        return str(browser.open(f"http://{bind}{path}", data, timeout=60).read().decode())

    def answers() -> bool:
        try:
            return bool(get("/api/v1/health"))
        except OSError:
            return False

    wait_until(answers, "the site to answer")
    wait_until(ready, "the site to be busy")
    token = CSRF.search(get("/login"))
    get("/login", csrf_token=token[1] if token else "", password=PASSWORD)
    return get
