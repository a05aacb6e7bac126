"""What is said when a request cannot be answered: a page for people, JSON under /api/."""

from __future__ import annotations

import logging
from http import HTTPStatus
from urllib.parse import urlsplit

from flask import Flask, Response, g, jsonify, make_response, render_template, request
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge, SecurityError

from shared.clean import clean
from shared.errors import BundleError, ConfigError, ExportError, PipitError, RequestError, ShipError
from shared.web import words
from shared.web.app import NavItem, this_site
from shared.web.guard import back_or_home, is_api

logger = logging.getLogger(__name__)

# Status: the sentence on top, what to make of it.
PAGES = {
    400: ("This request is not complete.", "Go back, reload the page and try again."),
    401: ("This needs a token.", "Send it as Authorization: Bearer TOKEN."),
    403: ("This is not allowed.", "It needs more rights than you have here."),
    404: (
        "This page does not exist.",
        "The address may be mistyped, or what it led to was cleaned up: nothing is kept for ever.",
    ),
    405: ("This address does not take that kind of request.", "Open it from its page instead."),
    415: ("This body is not what is wanted here.", "Send JSON, with the header Content-Type: application/json."),
    409: ("This cannot be done in the present state.", "Reload the page to see what changed."),
    413: ("That is too large.", "Nothing was read."),
    429: ("Too many tries.", "Signing in is possible five times a minute. Wait a minute, then try again."),
    507: ("There is no room left on the disk.", "Make room, then try again. Nothing was kept."),
    500: (
        "Something in Pipit failed.",
        "Why stands in the log of this service; what else runs goes on. Try it once more.",
    ),
    502: ("The other machine refused, or made no sense.", "The log of that service says more."),
    504: ("It took too long.", "It was ended; nothing was changed. Try again with less, or later."),
    503: ("The state cannot be read just now.", "Try again in a moment; the log of this service says more."),
}
STALE_FORM = (
    "The form is too old, or it came from another page. Reload the page and send it again; nothing was changed."
)
FOREIGN = "This name is not one of ours. Add it to the trusted hosts if it should be.\n"


def add_refusals(app: Flask) -> None:
    """Answer every error in the form its reader expects."""
    app.register_error_handler(HTTPException, _on_http_error)
    app.register_error_handler(PipitError, _on_own_error)
    app.register_error_handler(Exception, _on_fault)


def refuse(status: int, said: str = "") -> Response:
    """The answer for a status; `said` takes the place of the usual second sentence."""
    title, advice = PAGES.get(status, (f"{HTTPStatus(status).phrase}.", ""))
    if is_api():
        answer = jsonify(error={"status": status, "title": title, "detail": clean(said or advice)})
    else:
        section = _section()
        at = section.words if section else None
        page = render_template(
            "error.html", title=title, advice=said or advice, at=at, section=section, back=_came_from()
        )
        answer = make_response(page)
    answer.status_code = status
    if status == 401:
        answer.headers["WWW-Authenticate"] = 'Bearer realm="pipit"'
    return answer


def _section() -> NavItem | None:
    """The entry of the bar that the address lies below, for somebody signed in; the first page is offered anyway."""
    first = request.path.split("/")[1]
    if not first or not g.get("signed_in"):
        return None
    return next((item for item in this_site().nav if first in (item.endpoint, *item.under)), None)


def _came_from() -> str | None:
    """The page of this site whose form was refused, as the browser says; it may have been any other that led here."""
    came = urlsplit(request.headers.get("Referer", ""))
    if not g.get("signed_in") or request.method == "GET" or came.netloc != request.host:
        return None
    if came.path == request.path and "GET" not in getattr(request.url_rule, "methods", ()):
        return None  # the answer to a form that was refused before: its address shows nothing
    return back_or_home(came.path + (f"?{came.query}" if came.query else ""))


def _too_large() -> str:
    """How much the address takes; a site says more of its own uploads in `g.limit_words`."""
    limit = words.size(request.max_content_length or 0)
    return str(g.get("limit_words") or f"This address takes {limit} at most. Nothing was read.")


def _on_http_error(error: HTTPException) -> Response:
    if isinstance(error, SecurityError):  # no address of ours can be made for a foreign Host: say it plainly
        return Response(FOREIGN, 400, mimetype="text/plain")
    if error.response is not None:
        return make_response(error.response)
    status = error.code or 500
    if isinstance(error, CSRFError):
        answer = refuse(status, STALE_FORM)
    else:
        # Our own sentences are kept; the library's default ones are not written for the people who read this.
        own = error.description or "" if error.description != type(error).description else ""
        if isinstance(error, RequestEntityTooLarge):
            own = own or _too_large()
        answer = refuse(status, own if status not in (405, 429) else "")
    allowed = getattr(error, "valid_methods", None)
    if status == 405 and allowed:
        answer.headers["Allow"] = ", ".join(sorted(allowed))
    return answer


def _on_own_error(error: PipitError) -> Response:
    status = status_of(error)
    if status >= 500:
        logger.warning("page failed path=%s error=%s", clean(request.path), clean(str(error)))
    return refuse(status, str(error) if g.get("signed_in") or is_api() else "")


def status_of(error: PipitError) -> int:
    """The HTTP status of an error that was raised on purpose, by what the caller can do about it."""
    if isinstance(error, RequestError):
        return 404 if error.missing else 400
    if isinstance(error, BundleError):
        return 404 if error.code == "not_here" else 409
    if isinstance(error, ConfigError):
        return 409
    if isinstance(error, ExportError):
        return 400
    if isinstance(error, ShipError):
        return 404 if error.code == "not_here" else 504 if error.unknown else 502
    return int(getattr(error, "status", 503))


def _on_fault(error: Exception) -> Response:
    logger.error("page failed path=%s", clean(request.path), exc_info=error)
    return refuse(500)
