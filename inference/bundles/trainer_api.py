"""The trainer's HTTP API as a Pi reads it: its models and their files. Standard library only.

The token goes to the one address that the settings name: a redirect is an error, and no proxy is asked. What comes back
is no more trusted than an inbox: sizes are capped, texts are cleaned, and the signature is checked later.
"""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import Any, NoReturn

from shared import layout
from shared.clean import clean
from shared.errors import ConfigError, ShipError

_ANSWER_LIMIT = 8 * 1024 * 1024
_CHUNK = 256 * 1024


@dataclass(frozen=True, slots=True)
class Offer:
    """A version that the trainer has."""

    agent: str
    version: str
    serial: int
    size_bytes: int
    fault: str

    @property
    def model_id(self) -> str:
        """`<agent>_<version>`."""
        return layout.model_id(self.agent, self.version)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> None:
        return None  # urllib then raises the answer as an HTTPError


class TrainerApi:
    """Reads from one trainer. Every call raises ShipError: `unknown` where the trainer cannot be reached."""

    def __init__(self, url: str, token: str, timeout_s: float = 20.0) -> None:
        if not url:
            raise ConfigError("pull: no trainer is known; set INFERENCE_TRAINER_URL, e.g. https://trainer.example:8001")
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
            raise ConfigError(
                f"pull: INFERENCE_TRAINER_URL is {url!r}; write http(s)://HOST:PORT, the token apart from it"
            )
        if not token:
            raise ConfigError(
                "pull: no token; make a read token on the trainer's page Access, and set INFERENCE_TRAINER_TOKEN"
            )
        self.url, self._token, self._timeout_s = url.rstrip("/"), token, timeout_s
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect())

    def release(self) -> str:
        """Which release of Pipit answers there."""
        return clean(str(self._json("/api/v1/health").get("release", "?")), 40)

    def offers(self) -> list[Offer]:
        """What the trainer has, newest first within an agent; entries that make no sense are passed over."""
        found = self._json("/api/v1/models").get("models")
        if not isinstance(found, list):
            raise ShipError(f"pull: {self.url} does not answer as a Pipit trainer does", "protocol")
        offers = [offer for entry in found if (offer := _offer(entry)) is not None]
        return sorted(offers, key=lambda offer: layout.version_order(offer.version), reverse=True)

    def file(self, model_id: str, name: str, limit: int) -> bytes:
        """One file of a version."""
        return self._get(f"/api/v1/models/{model_id}/files/{name}", limit)

    def _json(self, path: str) -> dict[str, Any]:
        try:
            told = json.loads(self._get(path, _ANSWER_LIMIT))
        except (ValueError, RecursionError) as cause:
            raise ShipError(
                f"pull: {self.url}{path} does not answer in JSON; is that a Pipit trainer?", "protocol"
            ) from cause
        return told if isinstance(told, dict) else {}

    def _get(self, path: str, limit: int) -> bytes:
        headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/json, application/octet-stream"}
        request = urllib.request.Request(self.url + path, headers=headers)  # noqa: S310 (the scheme was checked)
        try:
            with self._opener.open(request, timeout=self._timeout_s) as answer:
                data = bytes(answer.read(limit + 1))
        except urllib.error.HTTPError as refusal:
            refusal.close()
            self._refused(refusal.code, path)
        except (OSError, http.client.HTTPException, ValueError) as cause:
            why = getattr(cause, "reason", None) or cause
            raise ShipError(f"pull: {self.url} cannot be reached ({clean(str(why), 200)})", "offline", True) from cause
        if len(data) > limit:
            raise ShipError(f"pull: {path} is larger than {limit} bytes", "too_large")
        return data

    def _refused(self, status: int, path: str) -> NoReturn:
        if status in (401, 403):
            raise ShipError(
                f"pull: {self.url} does not accept the token ({status}); make another on its page Access", "auth"
            )
        if status == 404:
            code = "not_here" if "/files/" in path else "protocol"  # no list at all: that is no trainer
            raise ShipError(f"pull: {self.url} has no {path.removeprefix('/api/v1/')}", code)
        if 300 <= status < 400:
            raise ShipError(f"pull: {self.url} sends us elsewhere ({status}); name its own address", "redirect")
        raise ShipError(f"pull: {self.url} answers {status}", "protocol", status >= 500 or status == 429)


def _offer(entry: object) -> Offer | None:
    try:
        assert isinstance(entry, dict)
        agent, version = entry["agent"], entry["version"]
        if not (
            isinstance(agent, str)
            and layout.is_agent(agent)
            and isinstance(version, str)
            and layout.is_version(version)
        ):
            return None
        return Offer(
            agent, version, int(entry["serial"]), int(entry["size_bytes"]), clean(str(entry.get("fault") or ""), 300)
        )
    except (AssertionError, KeyError, TypeError, ValueError):
        return None
