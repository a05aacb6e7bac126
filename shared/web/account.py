"""Who may use one admin site: the administrator's password, the API tokens, the key that signs sessions.

All of it lives in one folder (mode 0700, files 0600) of the service's state folder. There is no default password:
the first process that starts makes a one-time set-up token, logs it, and waits for somebody to choose a password.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import os
import secrets
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from shared.layout import write_atomic, write_new

logger = logging.getLogger(__name__)

Scope = Literal["read", "admin"]
SCOPES: tuple[Scope, ...] = ("read", "admin")
PASSWORD_MIN = 12
PASSWORD_MAX = 1024  # a longer one only costs time
TOKENS_MAX = 100
TOKEN_PREFIX = "pipit_"  # noqa: S105  lets secret scanners find a leaked one

# 19 MiB and one lane (OWASP's lower profile) instead of the library's 64 MiB and four: a Pi's web process has about 40.
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_one_at_a_time = threading.Lock()  # four logins at once must not take four times the memory


class AccountError(ValueError):
    """What somebody typed cannot be taken; the message is for them."""


@dataclass(frozen=True, slots=True)
class Token:
    """An API token as it is kept: never the token itself, only its hash."""

    id: str
    name: str
    scope: Scope
    created: float
    sha256: str


class Account:
    """The account files of one site. Reads go to the disk: a reset from the command line counts at once."""

    def __init__(self, state_dir: Path, now: Callable[[], float]) -> None:
        self.folder = state_dir / "web"
        self._now = now
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    @property
    def has_password(self) -> bool:
        """Whether somebody has chosen a password."""
        return bool(self._read("password"))

    def setup_token(self) -> str | None:
        """The one-time token that lets somebody choose the password; None once one is chosen.

        The process that makes it logs it; every other one finds it in the file.
        """
        if self.has_password:
            return None
        token = secrets.token_urlsafe(18)
        if self._create("setup-token", token):
            logger.warning("no password is set: open /setup with this one-time token token=%s", token)
            return token
        return self._read("setup-token")

    def set_up(self, token: str, password: str, again: str) -> None:
        """Choose the first password with the one-time token. Raises AccountError with what is wrong."""
        expected = self.setup_token()
        if expected is None:
            raise AccountError("A password is set already. Sign in with it.")
        if not hmac.compare_digest(token.strip().encode(), expected.encode()):
            raise AccountError("This is not the token of this service.")
        self._write("password", self._hashed(password, again))
        (self.folder / "setup-token").unlink(missing_ok=True)
        logger.info("the administrator's password was set")

    def change_password(self, current: str, password: str, again: str) -> None:
        """Replace the password; every open session ends, because sessions carry its fingerprint."""
        if not self.check_password(current):
            raise AccountError("The current password is wrong.")
        self._write("password", self._hashed(password, again))
        logger.info("the administrator's password was changed")

    def check_password(self, password: str) -> bool:
        """Whether this is the administrator's password (takes tens of milliseconds, on purpose)."""
        kept = self._read("password")
        if not kept or len(password) > PASSWORD_MAX:
            return False
        with _one_at_a_time:
            try:
                return _hasher.verify(kept, password)
            except (Argon2Error, InvalidHashError):
                return False

    def fingerprint(self) -> str:
        """Changes with the password: a session that carries another one is over. Empty without a password."""
        kept = self._read("password")
        return hashlib.sha256(kept.encode()).hexdigest()[:16] if kept else ""

    def reset(self) -> str:
        """Forget the password (from the machine itself); the new one-time token is returned."""
        (self.folder / "password").unlink(missing_ok=True)
        (self.folder / "setup-token").unlink(missing_ok=True)
        return self.setup_token() or ""

    def session_key(self) -> str:
        """The key that signs session cookies, made once."""
        self._create("session-key", secrets.token_urlsafe(48))
        return self._read("session-key")

    def tokens(self) -> list[Token]:
        """The API tokens, oldest first."""
        text = self._read("tokens.json")
        return [Token(**entry) for entry in json.loads(text)] if text else []

    def add_token(self, name: str, scope: str) -> str:
        """Make an API token; the text is returned this once and never again."""
        name = name.strip()
        if not 1 <= len(name) <= 64 or not name.isprintable():
            raise AccountError(
                "A token needs a name of 1 to 64 visible characters, so that you know later what uses it."
            )
        if scope not in SCOPES:
            raise AccountError("A token may read, or it may do everything (admin).")
        tokens = self.tokens()
        if len(tokens) >= TOKENS_MAX:
            raise AccountError(f"There are {TOKENS_MAX} tokens already. Remove one first.")
        text = f"{TOKEN_PREFIX}{scope}_{secrets.token_urlsafe(32)}"
        made = Token(secrets.token_hex(4), name, scope, self._now(), _sha256(text))
        self._write_tokens([*tokens, made])
        logger.info("token made id=%s scope=%s", made.id, made.scope)
        return text

    def remove_token(self, token_id: str) -> bool:
        """Forget a token; False where there is none of that id."""
        tokens = self.tokens()
        kept = [token for token in tokens if token.id != token_id]
        if len(kept) == len(tokens):
            return False
        self._write_tokens(kept)
        logger.info("token removed id=%s", token_id)
        return True

    def scope_of(self, text: str) -> Scope | None:
        """What a token may do; None for one we do not know."""
        wanted = _sha256(text)
        found: Scope | None = None
        for token in self.tokens():  # all of them, so that the time says nothing about which one matched
            if hmac.compare_digest(token.sha256, wanted):
                found = token.scope
        return found

    def _hashed(self, password: str, again: str) -> str:
        if password != again:
            raise AccountError("The two passwords differ.")
        if not PASSWORD_MIN <= len(password) <= PASSWORD_MAX:
            raise AccountError(f"A password needs {PASSWORD_MIN} characters or more.")
        with _one_at_a_time:
            return _hasher.hash(password)

    def _write_tokens(self, tokens: list[Token]) -> None:
        self._write("tokens.json", json.dumps([asdict(token) for token in tokens], indent=1))

    def _read(self, name: str) -> str:
        try:
            return (self.folder / name).read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return ""

    def _create(self, name: str, text: str) -> bool:
        """Write a file that must not exist yet, complete at once; False where another process was first.

        Nothing is written where it exists: the pages must come up on a full disk as well.
        """
        if (self.folder / name).exists():
            return False
        beside = self.folder / f".{name}.{secrets.token_hex(6)}"
        write_new(beside, text.encode() + b"\n", 0o600)
        try:
            os.link(beside, self.folder / name)
        except FileExistsError:
            return False
        finally:
            beside.unlink()
        return True

    def _write(self, name: str, text: str) -> None:
        write_atomic(self.folder / name, text.encode() + b"\n", 0o600)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
