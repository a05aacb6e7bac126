"""What to do about what a database or Redis says, by its own words: it goes into the page, the log and `check` alike."""

from __future__ import annotations

import re
from collections.abc import Sequence

Cures = Sequence[tuple[str, str]]

DATABASE: Cures = (
    (
        r"password authentication failed|no password supplied|role \".*\" does not exist",
        "correct user and password in INFERENCE_DATABASE_URL (special characters as %40 and the like)",
    ),
    (r"database \".*\" does not exist", "correct the database's name at the end of INFERENCE_DATABASE_URL"),
    (r"permission denied for schema", "let its owner GRANT USAGE ON SCHEMA … and GRANT SELECT ON … to this user"),
    (r"permission denied", "let the table's owner GRANT SELECT ON it to the user of INFERENCE_DATABASE_URL"),
    (
        r"pg_hba\.conf",
        "add a line for this machine to the server's pg_hba.conf and reload it; `hostssl` lines want TLS (sslmode=require)",
    ),
    (
        r"root certificate file .* does not exist",
        "put the certificate of the server's authority there, or name it: sslrootcert=FILE (=system for a public one)",
    ),
    (
        r"certificate verify failed|self.signed certificate",
        "sslrootcert must be the certificate of the authority that signed the server's; see that this machine's clock is right",
    ),
    (
        r"does not match host name",
        "name the server in INFERENCE_DATABASE_URL as its certificate does, or use sslmode=verify-ca",
    ),
    (r"server does not support SSL", "switch TLS on at the server, or leave sslmode out of INFERENCE_DATABASE_URL"),
    (r"could not translate host name", "correct the host in INFERENCE_DATABASE_URL, or this machine's DNS"),
    (
        r"[Cc]onnection refused|[Nn]o route to host|timeout expired|no answer within|could not connect",
        "start it, let it listen on that address (listen_addresses) and port, or correct INFERENCE_DATABASE_URL",
    ),
    (
        r"statement timeout",
        "an index is missing (see `pipit-inference check`), or INFERENCE_QUERY_TIMEOUT_S is too small",
    ),
    (r"too many (clients|connections)|connection slots", "raise max_connections, or let other programs go"),
)
REDIS: Cures = (
    (
        r"NOAUTH|WRONGPASS|invalid password|no password is set",
        "set user and password in INFERENCE_REDIS_URL: redis://USER:PASSWORD@HOST:6379/0 (no user: redis://:PASSWORD@…)",
    ),
    (r"NOPERM", "give its user the right to HSET, EXPIRE, LPUSH, LTRIM and DEL on keys mcp:*"),
    (r"mismatch, certificate", "name the host in INFERENCE_REDIS_URL as its certificate does"),
    (
        r"CERTIFICATE_VERIFY_FAILED",
        "let this machine trust the authority (update-ca-certificates, or SSL_CERT_FILE for the service)",
    ),
    (r"\[SSL|record layer|handshake", "that port speaks no TLS: redis:// instead of rediss://, or the TLS port"),
    (r"connection was closed|not Redis|reset by peer", "is it Redis, and does that port want TLS (rediss://)?"),
    (r"refused|timed out|not known|No such file|unreachable", "start Redis, or correct INFERENCE_REDIS_URL"),
    (r"DB index", "correct the number of the database at the end of INFERENCE_REDIS_URL"),
    (r"READONLY", "name the master: this is a replica"),
    (r"OOM|MISCONF", "give Redis room: it takes no more writes"),
)


def cured(text: str, cures: Cures) -> str:
    """The text with what to do about it, where that is known."""
    return next((f"{text}; {cure}" for pattern, cure in cures if re.search(pattern, text)), text)
