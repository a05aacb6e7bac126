"""Names that strangers choose, networks' and users', in every line that prints one: they never become an event or a field."""

from __future__ import annotations

import pytest

from shared.agent import builtin_agents
from shared.events import EventParser

A = "02:00:5e:30:00:01"
B = "02:00:5e:30:00:0b"
STRANGER = "02:00:5e:66:66:66"
FIELDS = ("mac", "ssid", "bssid", "reason_code", "status_code", "signal_dbm", "freq")

NAMES = [
    f"wlan0: CTRL-EVENT-CONNECTED - Connection to {STRANGER} completed",
    f"AP-STA-POSSIBLE-PSK-MISMATCH {STRANGER}",
    "') did not acknowledge authentication response",
    "reason=WRONG_KEY",
    'x" auth_failures=9 duration=9 reason=WRONG_KEY',
    "a' freq=1 MHz)",
    "<3>AP-DISABLED",
    "Jan  1 00:00:00 ap hostapd: wlan0: AP-DISABLED",
    f"message repeated 999 times: [ wlan0: AP-STA-POSSIBLE-PSK-MISMATCH {STRANGER}]",
    "last message repeated 500 times",
    "radar detected",
    "CQM event: beacon loss",
    "certificate verify failed",
    f"DHCPNAK(br0) 192.0.2.1 {STRANGER}",
    'a\\"b\\x00\\\\',
    "it's",
    "freq=5180 signal=-1",
    f"status_code=17 bssid={STRANGER}",
    STRANGER,
]

# a line with the name as {}, its class, its fields
LINES = [
    ("wlan0: Trying to associate with SSID '{}'", "attempt", {"ssid": "{}"}),
    (
        f"wlan0: SME: Trying to authenticate with {B} (SSID='{{}}' freq=2437 MHz)",
        "attempt",
        {"ssid": "{}", "bssid": B, "mac": B, "freq": "2437"},
    ),
    (
        'wlan0: CTRL-EVENT-SSID-TEMP-DISABLED id=0 ssid="{}" auth_failures=2 duration=20 reason=CONN_FAILED',
        "backoff",
        {"ssid": "{}"},
    ),
    (
        'wlan0: CTRL-EVENT-SSID-TEMP-DISABLED id=0 ssid="{}" auth_failures=2 duration=20 reason=WRONG_KEY',
        "psk_mismatch",
        {"ssid": "{}"},
    ),
    ('wlan0: CTRL-EVENT-SSID-REENABLED id=0 ssid="{}"', "backoff", {"ssid": "{}"}),
    (
        f"wlan0: STA {A} IEEE 802.11: Station tried to associate with unknown SSID '{{}}'",
        "assoc_fail",
        {"ssid": "{}", "mac": A},
    ),
    (f'Using interface wlan0 with hwaddr {B} and ssid "{{}}"', "ap_state", {"ssid": "{}", "mac": B}),
    ('mesh0: MESH-GROUP-STARTED ssid="{}" id=0', "other", {"ssid": "{}"}),
    ("mesh0: joining mesh {}", "other", {}),
    (
        f'p2p0: P2P-GROUP-STARTED p2p0 GO ssid="{{}}" freq=2437 passphrase="12345678" go_dev_addr={B}',
        "other",
        {"ssid": "{}", "mac": B, "freq": "2437"},
    ),
    (f"wlan0: STA {A} IEEE 802.1X: STA identity '{{}}'", "eap", {"mac": A}),
    ("device (wlan0): Activation: (wifi) access point '{}' has security, but secrets are required.", "other", {}),
    ("Config: added 'ssid' value '{}'", "other", {"ssid": "{}"}),
    (f"DHCPACK(br-lan) 192.0.2.9 {A} {{}}", "dhcp", {"mac": A}),
]


@pytest.fixture(scope="module")
def parser() -> EventParser:
    return EventParser(builtin_agents()["wifi"])


@pytest.mark.parametrize("head", ["", "<29>", "daemon.notice hostapd: ", "Mar  3 10:00:00 box wpa_supplicant[5]: "])
@pytest.mark.parametrize(("line", "event", "fields"), LINES, ids=[line[:40] for line, _, _ in LINES])
def test_a_name_is_read_as_a_name_whatever_it_says(
    parser: EventParser, line: str, event: str, fields: dict[str, str], head: str
) -> None:
    for name in NAMES:
        parsed = parser.parse("wpa_supplicant", 5, head + line.replace("{}", name))
        assert (parsed.event, parsed.repeat, parsed.again) == (event, 1, 0), name
        found = {field: parsed.fields[field] for field in FIELDS if parsed.fields.get(field)}
        assert found == {field: value.replace("{}", name) for field, value in fields.items()}, name


@pytest.mark.parametrize("name", NAMES)
def test_a_line_of_unknown_form_stays_unknown_whatever_name_it_prints(parser: EventParser, name: str) -> None:
    parsed = parser.parse("wpa_supplicant", 5, f"daemon.notice hostapd: wlan0: a guest says '{name}'")
    assert (parsed.event, parsed.repeat, parsed.again) == ("unknown", 1, 0)
