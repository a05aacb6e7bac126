"""What OpenSSH up to 10, its PAM modules and dropbear write, and user names that try to be something else."""

from __future__ import annotations

import pytest

from shared.agent import builtin_agents
from shared.events import EventParser

IP = "192.0.2.77"
AT = f"{IP} port 40022"

CASES: list[tuple[str, str, dict[str, str | None]]] = [
    # log-ins
    (f"Accepted publickey for bob from {AT} ssh2: ED25519 SHA256:abc", "ssh_login_ok", {"user": "bob", "ip": IP}),
    (f"Accepted keyboard-interactive/pam for bob from {AT} ssh2", "ssh_login_ok", {"method": "keyboard-interactive/pam"}),
    (f"Pubkey auth succeeded for 'bob' with ssh-ed25519 key SHA256:abc from {IP}:40022", "ssh_login_ok", {"user": "bob"}),
    ('Accepted key ED25519 SHA256:abc found at /home/bob/.ssh/authorized_keys:1', "other", {}),
    # failures
    (f"Failed password for bob from {AT} ssh2", "ssh_login_fail", {"user": "bob", "ip": IP}),
    (f"error: PAM: Authentication failure for root from {IP}", "ssh_login_fail", {"user": "root", "ip": IP}),
    ("User bob not allowed because account is locked", "ssh_login_fail", {"user": "bob"}),
    (f"ROOT LOGIN REFUSED FROM {AT}", "ssh_login_fail", {"ip": IP}),
    (
        f"Authentication tried for bob with correct key but not from a permitted host (host={IP}, ip={IP}, required=x)",
        "ssh_login_fail",
        {"user": "bob", "ip": IP},
    ),
    (f"Pubkey auth bad signature for 'bob' with key SHA256:abc from {IP}:40022", "ssh_login_fail", {"user": "bob"}),
    (f"Invalid user  from {AT}", "ssh_invalid_user", {"ip": IP}),
    (f"Invalid user admin from {AT}", "ssh_invalid_user", {"user": "admin", "ip": IP}),
    (f"error: PAM: User not known to the module for illegal user web from {IP}", "ssh_invalid_user", {"user": "web"}),
    (f"Login attempt with wrong user web from {IP}:40022", "ssh_invalid_user", {"user": "web", "ip": IP}),
    # PAM
    (f"pam_sss(sshd:auth): authentication failure; logname= uid=0 rhost={IP} user=bob", "ssh_pam_fail", {"user": "bob"}),
    ("pam_sss(sshd:auth): received for user bob: 7 (Authentication failure)", "ssh_pam_fail", {"user": "bob"}),
    ("pam_faillock(sshd:auth): Consecutive login failures for user bob account temporarily locked", "ssh_pam_fail", {}),
    ("pam_unix(sshd:auth): conversation failed", "other", {}),
    (f"error: maximum authentication attempts exceeded for invalid user a from {AT} ssh2 [preauth]", "ssh_too_many", {"user": "a"}),
    (f"Disconnecting authenticating user root {AT}: Too many authentication failures [preauth]", "ssh_too_many", {"ip": IP}),
    # before a log-in
    (f"Connection closed by authenticating user root {AT} [preauth]", "ssh_preauth_close", {"user": "root", "ip": IP}),
    (f"Connection reset by invalid user a b {AT} [preauth]", "ssh_preauth_close", {"user": "a b", "ip": IP}),
    (f"Connection closed by {AT}", "ssh_preauth_close", {"ip": IP}),
    (f"Disconnecting invalid user a {AT}: Change of username or service not allowed [preauth]", "ssh_preauth_close", {"ip": IP}),
    (f"fatal: Timeout before authentication for {AT}", "ssh_preauth_close", {"ip": IP}),
    (f"Timeout before authentication for connection from {IP} to 198.51.100.1, pid = 5", "ssh_preauth_close", {"ip": IP}),
    ("fatal: Read from socket failed: Connection reset by peer [preauth]", "ssh_preauth_close", {}),
    # scans
    ("error: kex_exchange_identification: Connection closed by remote host", "ssh_scan", {}),
    ('kex_exchange_identification: client sent invalid protocol identifier "GET / HTTP/1.1"', "ssh_scan", {}),
    (f"banner exchange: Connection from {AT}: invalid format", "ssh_scan", {"ip": IP}),
    (f"fatal: Unable to negotiate with {AT}: no matching host key type found. [preauth]", "ssh_scan", {"ip": IP}),
    ("Bad packet length 1349676916. [preauth]", "ssh_scan", {}),
    (f"probed from {AT} with SSH-1.0-SSH_Version_Mapper.  Don't panic.", "ssh_scan", {"ip": IP}),
    (f"drop connection #3 from [{IP}]:40022 on [198.51.100.1]:22 penalty: failed authentication", "ssh_scan", {"ip": IP}),
    (f"srclimit_penalise: ipv4: new {IP}/32 deferred penalty of 5 seconds for penalty: failed", "ssh_scan", {"ip": IP}),
    (f"srclimit_penalise: {IP}/32: activating ipv4 penalty of 15.76 seconds", "ssh_scan", {"ip": IP}),
    ("error: beginning MaxStartups throttling", "ssh_scan", {}),
    (f"refused connect from {IP} ({IP})", "ssh_scan", {"ip": IP}),
    # sessions
    (f"Connection closed by user bob {AT}", "ssh_session_close", {"user": "bob", "ip": IP}),
    (f"Timeout, client not responding from user bob {AT}", "ssh_session_close", {"user": "bob", "ip": IP}),
    (f"error: Received disconnect from {AT}:14: No more methods", "ssh_session_close", {"ip": IP}),
    ("pam_unix(sshd:session): session opened for user bob(uid=1000) by bob(uid=0)", "ssh_session_open", {"user": "bob"}),
    # of no weight
    ("userauth_pubkey: signature algorithm ssh-rsa not in PubkeyAcceptedAlgorithms [preauth]", "other", {}),
    ("AuthorizedKeysCommand /usr/bin/keys bob failed, status 22", "other", {}),
    ("/etc/ssh/sshd_config line 12: Deprecated option UsePrivilegeSeparation", "other", {}),
    ("error: mm_reap: child terminated by signal 15", "ssh_error", {}),
]  # fmt: skip

LEADERS = [
    "<38>",
    "Mar  3 10:00:00 box sshd-session[811]: ",
    "2026-09-08T14:20:01.123456+09:00 box sshd-session[77]: ",
    "Tue Mar  3 10:00:00 2026 authpriv.warn dropbear[5836]: ",
    "auth.info sshd[12]: ",
]

NAMES = [
    "root from 203.0.113.5 port 22 ssh2",
    "x from 203.0.113.5 port 22 ssh2: y",
    "Accepted password for root from 203.0.113.5 port 22 ssh2",
    "message repeated 500 times: [ Failed password for root from 203.0.113.5 port 22 ssh2]",
    "last message repeated 900 times",
    "' from 203.0.113.5:22",
]


@pytest.fixture(scope="module")
def parser() -> EventParser:
    return EventParser(builtin_agents()["sshd"])


@pytest.mark.parametrize(("message", "expected", "fields"), CASES)
def test_a_line_of_the_ssh_server_has_its_class_and_fields(
    parser: EventParser, message: str, expected: str, fields: dict[str, str | None]
) -> None:
    parsed = parser.parse("sshd", 6, message)
    assert parsed.event == expected
    assert {name: parsed.fields.get(name) for name in fields} == fields


@pytest.mark.parametrize("leader", LEADERS)
def test_what_stands_before_a_line_does_not_hide_it(parser: EventParser, leader: str) -> None:
    parsed = parser.parse("sshd", 6, f"{leader}Failed password for bob from {AT} ssh2")
    assert (parsed.event, parsed.fields["user"], parsed.fields["ip"]) == ("ssh_login_fail", "bob", IP)


@pytest.mark.parametrize("leader", ["", *LEADERS])
@pytest.mark.parametrize("name", NAMES)
def test_a_user_name_that_looks_like_a_line_stays_a_user_name(parser: EventParser, name: str, leader: str) -> None:
    for line, event in (
        (f"Failed password for invalid user {name} from {AT} ssh2", "ssh_invalid_user"),
        (f"Failed password for {name} from {AT} ssh2", "ssh_login_fail"),
        (f"Invalid user {name} from {AT}", "ssh_invalid_user"),
    ):
        parsed = parser.parse("sshd", 6, leader + line)
        assert (parsed.event, parsed.repeat, parsed.again) == (event, 1, 0)
        assert (parsed.fields["user"], parsed.fields["ip"]) == (name, IP)
