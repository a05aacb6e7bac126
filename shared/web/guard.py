"""Who gets in: the session of the administrator for pages, a session or a token for the API, nobody else.

A token counts under /api/ only, and a change over the API needs a token: a browser sends its cookie along by itself, a
token never.
"""

from __future__ import annotations

from flask import Flask, abort, g, redirect, request, session, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import Forbidden, RequestEntityTooLarge, Unauthorized

from shared.web.app import this_site

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def add_guard(app: Flask) -> None:
    """Check every request before anything else sees it."""
    app.before_request(_check)


def is_api() -> bool:
    """Whether the answer to this request is for a program."""
    return request.path.startswith("/api/")


def _check() -> ResponseReturnValue | None:
    g.signed_in = _has_session()  # first: an error page for somebody signed in keeps its navigation
    if request.routing_exception is not None:
        return None  # unknown address, wrong method or foreign Host: Flask answers with it
    limit = request.max_content_length
    if limit is not None and (request.content_length or 0) > limit:
        raise RequestEntityTooLarge()
    if request.endpoint in this_site().public:
        return None
    if not is_api():
        return _check_page()
    _check_api()
    return None


def _check_page() -> ResponseReturnValue | None:
    if g.signed_in:
        return None
    if not this_site().account.has_password:
        return redirect(url_for("setup"), 303)
    back = request.full_path.rstrip("?") if request.method == "GET" and request.path != "/" else None
    return redirect(url_for("login", back=back), 303)


def _check_api() -> None:
    header = request.headers.get("Authorization", "")
    if header:
        kind, _, token = header.partition(" ")
        scope = this_site().account.scope_of(token.strip()) if kind.lower() == "bearer" else None
        if scope is None:
            raise Unauthorized("This token is not known here.")
        if request.method not in SAFE and scope != "admin":
            raise Forbidden("This token may only read. A change needs one with the scope admin.")
        return
    if not g.signed_in:
        raise Unauthorized("Send an API token: Authorization: Bearer TOKEN.")
    if request.method not in SAFE:
        raise Forbidden("A change over the API needs a token with the scope admin; a browser's session is not enough.")


def _has_session() -> bool:
    """Whether the session cookie is the administrator's, made since the last change of password."""
    fingerprint = this_site().account.fingerprint()
    return bool(fingerprint) and session.get("admin") == fingerprint


def back_or_home(address: str | None) -> str:
    """An address of this site to return to; anything that could lead elsewhere becomes the first page."""
    if not address or not address.startswith("/") or address.startswith("//") or "\\" in address:
        return this_site().home
    if any(ord(character) < 33 or ord(character) == 127 for character in address):
        return this_site().home
    return address


def must_be_a_page() -> None:
    """Refuse a request that only a person's browser should make."""
    if is_api():
        abort(404)
