"""The five minutes of docs/usage.md, done as written there on a site that is served somewhere: pages read, forms sent."""

from __future__ import annotations

import html
import http.cookiejar
import re
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path

from tests.services import wait_until
from tests.web_client import CSRF, PASSWORD

DOCUMENT = Path(__file__).parent.parent / "docs" / "usage.md"
SECTION = re.compile(r"^## Five minutes on the Pi's pages$(.*?)^Also there:", re.MULTILINE | re.DOTALL)
QUOTED = re.compile(r"(?<![*\w])\*([^*\n]+)\*(?!\*)")
TAGS = re.compile(r"<(script|style|svg)\b.*?</\1>|<[^>]+>", re.DOTALL)
H1 = re.compile(r"<h1>(.*?)</h1>", re.DOTALL)


class Visitor:
    """Somebody with a browser and no scripts, who remembers what every page said."""

    def __init__(self, site: str) -> None:
        self.site, self.page, self.seen = site.rstrip("/"), "", ""
        self._open = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())).open

    def get(self, path: str) -> str:
        """Read a page; its words."""
        return self._show(self._open(self.site + path, timeout=60))

    def post(self, path: str, **form: str) -> str:
        """Send a form of the page that is shown; the words of the page after it."""
        token = CSRF.search(self.page)
        assert token, "the page has no form"
        data = urllib.parse.urlencode({"csrf_token": token[1], **form}).encode()
        return self._show(self._open(self.site + path, data, timeout=60))

    def _show(self, answer) -> str:  # type: ignore[no-untyped-def]  # urllib's answer
        self.page = answer.read().decode()
        words = " ".join(html.unescape(TAGS.sub(" ", self.page)).split())
        self.seen += " " + words
        return words

    def headline(self) -> str:
        """The first line of the page that is shown."""
        found = H1.search(self.page)
        return html.unescape(found[1]) if found else ""

    def link(self, pattern: str) -> str:
        """The address of the first link that fits."""
        found = re.search(rf'href="({pattern})"', self.page)
        assert found, f"no link to {pattern}"
        return html.unescape(found[1])


def follow(site: str, token: str, serving: Callable[[], str]) -> Visitor:
    """Every step; `serving` asks the machine itself which version serves."""
    visitor = Visitor(site)
    visitor.get("/setup")
    visitor.post("/setup", token=token, password=PASSWORD, again=PASSWORD)
    assert re.search(r"(is|are) open\. |ended in the last 24 hours", visitor.headline())
    incident = visitor.link(r"/incidents/\d+")
    _read_why(visitor, incident)
    _say_what_it_was(visitor, incident)
    visitor.get("/settings")
    assert "wifi may raise 0.1 incidents a week and host" in visitor.post(
        "/settings/budget", agent="wifi", per_week="0.1"
    )
    _go_back(visitor, serving)
    return visitor


def _read_why(visitor: Visitor, incident: str) -> None:
    words = visitor.get(incident)
    for part in ("How rare", "How sure", "Why it stands out", "What moved", "The log lines", "What helps"):
        assert part in words, part


def _say_what_it_was(visitor: Visitor, incident: str) -> None:
    assert "Noted as a false alarm" in visitor.post(f"{incident}/mark", mark="false")
    assert "You said it was a false alarm" in visitor.get(incident)
    number = incident.rpartition("/")[2]
    assert f"#{number} " in visitor.get("/incidents?marked=false")
    labels = visitor.get("/api/v1/marks/labels")
    assert '"kind": "false"' in labels or '"false"' in labels
    visitor.get(incident)
    assert "Taken back" in visitor.post(f"{incident}/mark", mark="none")


def _go_back(visitor: Visitor, serving: Callable[[], str]) -> None:
    visitor.get("/models")
    asked = visitor.link(r"/models/wifi/[^/\"]+/activate")
    version = asked.split("/")[3]
    assert "What changes" in visitor.get(asked)
    assert f"Asked for wifi {version}" in visitor.post(asked, why="the five minutes")
    wait_until(lambda: serving() == version, f"{version} to serve")
    wait_until(lambda: f"wifi runs {version}" in visitor.get("/models"), f"the page to say that {version} serves")


def quoted() -> set[str]:
    """The words of pages that the document names: what stands between single stars, each step of a way by itself."""
    section = SECTION.search(DOCUMENT.read_text(encoding="utf-8"))
    assert section, "docs/usage.md has lost its five minutes"
    return {part.strip() for words in QUOTED.findall(section[1]) for part in words.split("→") if part.strip()}
