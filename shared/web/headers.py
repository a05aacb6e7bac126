"""The security headers of every answer, and what a browser may keep."""

from __future__ import annotations

from flask import Flask, Response, request

# Nothing from elsewhere, nothing inline: an SSID that slips through escaping still finds no script to run.
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
# A self-contained report carries its style inside; it gets no scripts, no forms, no links to our origin's powers.
REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; frame-ancestors 'none'; "
    "sandbox allow-popups"
)
STATIC_S = 31_536_000  # asset addresses carry the hash of their content

FIXED = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def add_headers(app: Flask) -> None:
    """Put the headers on every answer of the app, errors included."""
    app.after_request(_with_headers)


def _with_headers(response: Response) -> Response:
    for name, value in FIXED.items():
        response.headers[name] = value
    response.headers.setdefault("Content-Security-Policy", POLICY)
    if request.endpoint == "static" and response.status_code in (200, 304) and "v" in request.args:
        response.headers["Cache-Control"] = f"public, max-age={STATIC_S}, immutable"
    elif request.endpoint != "static":
        response.headers["Cache-Control"] = "no-store"
    response.headers.pop("Server", None)
    return response
