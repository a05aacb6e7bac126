"""Sign in, first start, sign out, light or dark, and the access page (password and API tokens)."""

from __future__ import annotations

from flask import Flask, abort, g, make_response, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

from shared.web.account import AccountError
from shared.web.app import this_site
from shared.web.guard import back_or_home

PUBLIC = frozenset({"login", "setup", "theme"})
THEME_S = 365 * 86400
NEXT_THEME = {"": "dark", "dark": "light", "light": ""}  # the first step is the one people look for


def add_account_pages(app: Flask) -> None:
    """Attach the routes; those that take a secret are limited, per address and all together."""
    limited = app.extensions["pipit"].limiter.limited
    app.add_url_rule("/login", "login", limited(login), methods=["GET", "POST"])
    app.add_url_rule("/setup", "setup", limited(setup), methods=["GET", "POST"])
    app.add_url_rule("/logout", "logout", logout, methods=["POST"])
    app.add_url_rule("/theme", "theme", theme, methods=["POST"])
    app.add_url_rule("/access", "access", access)
    app.add_url_rule("/access/password", "access_password", limited(access_password), methods=["POST"])
    app.add_url_rule("/access/tokens", "access_token_add", access_token_add, methods=["POST"])
    app.add_url_rule("/access/tokens/<token_id>/remove", "access_token_remove", access_token_remove, methods=["POST"])


def login() -> ResponseReturnValue:
    """Sign in with the administrator's password."""
    site = this_site()
    if not site.account.has_password:
        return redirect(url_for("setup"), 303)
    back = back_or_home(request.values.get("back"))
    if g.signed_in:
        return redirect(back, 303)
    if request.method == "GET":
        return render_template("login.html", back=back)
    if not site.account.check_password(request.form.get("password", "")):
        return render_template("login.html", back=back, failed=True, left=g.tries_left), 401
    _start_session()
    return redirect(back, 303)


def setup() -> ResponseReturnValue:
    """First start: choose the password with the one-time token."""
    account = this_site().account
    if account.has_password:
        return redirect(url_for("login"), 303)
    if request.method == "GET":
        account.setup_token()
        return render_template("setup.html")
    form = request.form
    try:
        account.set_up(form.get("token", ""), form.get("password", ""), form.get("again", ""))
    except AccountError as error:
        return render_template("setup.html", failed=str(error), token=form.get("token", "")), 401
    _start_session()
    return redirect(this_site().home, 303)


def logout() -> ResponseReturnValue:
    """Sign out; the session is emptied."""
    session.clear()
    return redirect(url_for("login"), 303)


def theme() -> ResponseReturnValue:
    """Switch between dark, light and whatever the system says; kept in a cookie, so it needs no JavaScript."""
    wanted = request.form.get("theme")
    chosen = wanted if wanted in NEXT_THEME else NEXT_THEME.get(request.cookies.get("pipit_theme", ""), "dark")
    answer = make_response(redirect(back_or_home(request.form.get("back")), 303))
    if chosen:
        answer.set_cookie("pipit_theme", chosen, max_age=THEME_S, httponly=True, samesite="Strict")
    else:
        answer.delete_cookie("pipit_theme", httponly=True, samesite="Strict")
    return answer


def access() -> ResponseReturnValue:
    """Who may do what: the password and the API tokens."""
    return _access_page()


def access_password() -> ResponseReturnValue:
    """Change the password; other sessions end."""
    form = request.form
    try:
        this_site().account.change_password(form.get("current", ""), form.get("password", ""), form.get("again", ""))
    except AccountError as error:
        return _access_page(failed=str(error)), 400
    _start_session()
    session["notice"] = "The password was changed. Every other session has ended."
    return redirect(url_for("access"), 303)


def access_token_add() -> ResponseReturnValue:
    """Make an API token and show it once. The answer is not a redirect, so that the token is never kept anywhere."""
    name, scope = request.form.get("name", ""), request.form.get("scope", "read")
    try:
        text = this_site().account.add_token(name, scope)
    except AccountError as error:
        return _access_page(token_failed=str(error), typed={"name": name, "scope": scope}), 400
    return _access_page(made=text), 201


def access_token_remove(token_id: str) -> ResponseReturnValue:
    """Forget an API token; programs that use it are refused from now on."""
    if not this_site().account.remove_token(token_id):
        abort(404)
    session["notice"] = "The token was removed. Programs that use it are refused from now on."
    return redirect(url_for("access"), 303)


def _access_page(**extra: object) -> str:
    return render_template("access.html", at="Access", tokens=this_site().account.tokens(), **extra)


def _start_session() -> None:
    """A fresh session for the administrator: nothing of the anonymous one is carried over."""
    session.clear()
    session.permanent = True
    session["admin"] = this_site().account.fingerprint()
    g.signed_in = True
