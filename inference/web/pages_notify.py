"""Notifications on the pages: who is told, what became of each message, a test, another try."""

from __future__ import annotations

from flask import Flask, abort, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

from inference.telling import outbox
from inference.telling.template import NAMES
from inference.web import notify_words, notifying
from inference.web.room import this_room
from shared.web import words
from shared.web.app import this_site

BY = "admin page"
LIVE_S, AWAITED_S = 15, 1
STATES = (outbox.WAITING, outbox.SENT, outbox.FAILED)


def add_notify_pages(app: Flask) -> None:
    """Attach the routes."""
    app.add_url_rule("/notifications", "notifications", notifications_page)
    app.add_url_rule("/notifications/test", "notify_test", test, methods=["POST"])
    app.add_url_rule("/notifications/retry", "notify_retry", retry, methods=["POST"])


def notifications_page() -> ResponseReturnValue:
    """Channels with their last result, the outbox, quiet hours, and what is sent when."""
    chosen, number = request.args.get("state", ""), request.args.get("test", type=int)
    if chosen not in ("", *STATES):
        abort(400, "The filter has a value that does not exist.")
    view = notify_words.view(this_room(), chosen or None, number if number is None or abs(number) < 2**63 else None)
    return render_template(
        "notifications.html", at="Notifications", live=AWAITED_S if view.is_awaited else LIVE_S, view=view, chosen=chosen,
        kinds=notify_words.KINDS, shown_most=notify_words.SHOWN, gaps=NAMES, template=this_room().settings.notify_template,
    )  # fmt: skip


def test() -> ResponseReturnValue:
    """Send a test to every channel."""
    number = notifying.send_test(this_room(), BY, this_site().place)
    return redirect(url_for("notifications", test=number), 303)


def retry() -> ResponseReturnValue:
    """Try what did not get through again now."""
    count = notifying.retry(this_room())
    session["notice"] = (
        f"{words.sentence(words.counted(count, 'message'))} {'is' if count == 1 else 'are'} tried again now."
        if count
        else "Nothing waits for another try."
    )
    return redirect(url_for("notifications"), 303)
