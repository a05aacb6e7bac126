"""Lines that are seldom met, and known ones behind what platforms put before them: each with its class."""

from __future__ import annotations

import pytest

from shared.agent import builtin_agents
from shared.events import EventParser

A = "02:00:5e:10:00:01"
B = "02:00:5e:10:00:0b"

SELDOM = [
    ("20/40 MHz operation not permitted on channel pri=1 sec=5 based on overlapping BSSes", "channel"),
    ("hostapd_free_hapd_data: Interface wlan0 wasn't started", "ap_state.setup"),
    ("Interface wlan0 wasn't started", "ap_state.setup"),
    ("ELOOP: remaining socket: sock=8 eloop_data=0x1 user_data=(nil) handler=0x2", "ap_state.setup"),
    ("Invalid/unknown driver 'nl80212'", "ap_state.failed"),
    ("Frequency 5180 (primary) not allowed for AP mode, flags: 0x79 NO-IR", "ap_state.failed"),
    ("Primary frequency not allowed", "ap_state.failed"),
    (f"Failed to add BSS (BSSID={B})", "ap_state.failed"),
    ("Invalid line 3 in '/etc/hostapd.psk'", "ap_state.setup"),
    ("ctrl_iface exists and seems to be in use - cannot override it", "ap_state.failed"),
    ("Delete '/var/run/hostapd/wlan0' manually if it is not used anymore", "ap_state.setup"),
    ("Failed to setup control interface for wlan0", "ap_state.failed"),
    ("nl80211 driver initialization failed.", "ap_state.failed"),
    (f"handle_auth_cb: STA {A} not found", "other.noise"),
    (f"handle_assoc_cb: STA {A} not found", "other.noise"),
    ("handle_auth: no peer info found", "other.noise"),
    (f"wlan0: STA {A} WPA: PMKID mismatch", "handshake_fail.bad"),
    (f"wlan0: STA {A} IEEE 802.11: Skip SA Query", "other.noise"),
    (f"wlan0: STA {A} IEEE 802.11: Station tried to associate without WPS", "assoc_fail.refused"),
    (f"wlan0: STA {A} RADIUS: CUI mismatch", "eap.other"),
    ("wlan0: RADIUS No authentication server configured", "eap.other"),
    ("wlan0: WPA GMK and/or GTK rekeyed", "rekey.start"),
    ("wlan0: WPA group state machine failed", "other.noise"),
    ("wlan0: IEEE 802.11 Fetching hardware channel/rate support not supported.", "other.noise"),
    ("wlan0: IEEE 802.11 HT (IEEE 802.11n) with WPA/WPA2 using TKIP only is disabled", "other.noise"),
    ("Failed to initialize WPS", "ap_state.failed"),
    (f"wlan0: STA {A} DRIVER: Sta left", "other.noise"),
    ("wlan0: link 0: AP-ENABLED", "ap_state.start"),
    (f"wlan0: CTRL-EVENT-DISCONNECTED bssid={B} reason=-3 locally_generated=1", "disconnected.local"),
    (f"wlan0: CTRL-EVENT-DISCONNECTED bssid={B} reason=7 (class3)", "disconnected.remote"),
    ("bgscan simple: Failed to enable signal strength monitoring", "other.noise"),
    ("nl80211: Driver does not support authentication/association or connect commands", "driver_error.driver"),
    (
        "OpenSSL: tls_connection_handshake - Failed to read possible Application Data error:00000000:lib(0):func(0):reason(0)",
        "eap.other",
    ),
    ("SSL: SSL3 alert: write (local SSL3 detected an error):fatal:unknown CA", "eap.other"),
    ("SSL: SSL3 alert: read (remote end reported an error):fatal:handshake failure", "eap.other"),
    ("OpenSSL: openssl_handshake - SSL_connect error:0A000102:SSL routines::unsupported protocol", "eap.other"),
    ("TLS - SSL error: error:0A000086:SSL routines::certificate verify failed", "eap_fail.cert"),
    ("TLS: Subject did not match", "eap_fail.cert"),
    ("Failed to open config file '/etc/wpa.conf', error: No such file or directory", "ap_state.failed"),
    ("Failed to read or parse configuration '/etc/wpa.conf'.", "ap_state.failed"),
    (f"wlan0: aborting authentication with {B} by local choice (Reason: 3=DEAUTH_LEAVING)", "auth_fail.aborted"),
    (f"wlan0: aborting association with {B} by local choice (Reason: 3=DEAUTH_LEAVING)", "assoc_fail.aborted"),
    (f"wlan0: AP {B} appears to change mode (expected HT, found legacy), disconnect", "other.noise"),
    ("wlan0: failed to remove key (1, ff:ff:ff:ff:ff:ff) from hardware (-22)", "driver_error.driver"),
    (
        "wlan0: Wrong control channel: center-freq: 5210 ht-cfreq: 5180 ht->primary_chan: 36 band: 1 - Disabling HT",
        "other.noise",
    ),
    ("wlan0: 80 MHz not supported, disabling VHT", "other.noise"),
    ("wlan0: disabling HT/VHT/HE as WMM/QoS is not supported by the AP", "other.noise"),
    ("wlan0: disabling HE/UHR as WMM/QoS is not supported by the AP", "other.noise"),
    ("wlan0: bad VHT capabilities, disabling VHT", "other.noise"),
    ("wlan0: renamed from wlan1", "other.noise"),
    ("wlp3s0: renamed from wlan0", "other.noise"),
    ("wlan0: no IPv6 routers present", "other.noise"),
    ("wlan0: Link becomes ready", "other.noise"),
    (
        f"wlan0: deauthenticated from {B} while not associated (Reason: 7=CLASS3_FRAME_FROM_NONASSOC_STA)",
        "deauth.remote",
    ),
    (f"wlan0: {B} rejected association temporarily; comeback duration 1000 TU (1024 ms)", "assoc_fail.later"),
    (f"wlan0: No ack for nullfunc frame to AP {B}, disconnecting.", "disconnected.lost"),
    ("wlan0: cancelling AP probe due to a received beacon", "other.noise"),
    (f"wlan0: No probe response from AP {B} after 500ms, disconnecting.", "disconnected.lost"),
    ("wlan0: failed to set key", "driver_error.driver"),
    ("radio0 (1234): Device setup failed: HOSTAPD_START_FAILED", "ap_state.failed"),
    ("Wireless device 'radio0' setup failed, retry=3", "ap_state.failed"),
    ("radio0: Device setup failed", "ap_state.failed"),
    ("Set new config for phy phy0: /var/run/hostapd-phy0.conf", "ap_state.setup"),
    ("Restart interface for phy phy0", "ap_state.setup"),
    ("Reload config for bss 'phy0-ap0' on phy 'phy0'", "ap_state.setup"),
    ("Reloaded settings for phy phy0", "ap_state.setup"),
    ("Remove interface 'phy0-ap0'", "ap_state.setup"),
    ("Remove bss 'phy0-ap0'", "ap_state.setup"),
    ("New radio: phy0", "ap_state.setup"),
    (
        "not giving name x to the DHCP lease of 192.0.2.5 because the name exists in /etc/hosts with address 192.0.2.6",
        "dhcp.detail",
    ),
    (f"abandoning lease to {A} of 192.0.2.5", "dhcp.detail"),
    ("DHCP packet received on wlan0 which has no address", "dhcp.detail"),
    (f"wlan0: STA {A} IEEE 802.1X: could not extract EAP-Message from RADIUS message", "eap.other"),
    (f"wlan0: STA {A} IEEE 802.1X: Identity received from STA: 'bob'", "eap.other"),
    (f"wlan0: STA {A} IEEE 802.11: reassociated", "assoc"),
    ("VLAN: vlan_set_name_type: SET_VLAN_NAME_TYPE_CMD name_type=2 failed: Package not installed", "other.noise"),
    ("Failed to connect to non-global ctrl_ifname: wlan0  error: No such file or directory", "other.noise"),
]

# a whole syslog head, logread, UniFi, the control socket
HEADS = [
    (f"daemon.notice hostapd: phy0-ap0: AP-STA-CONNECTED {A} auth_alg=open", "connected.ap"),
    (f"daemon.info hostapd: phy0-ap0: STA {A} IEEE 802.11: authenticated", "auth_ok"),
    (f"daemon.info hostapd[1234]: phy0-ap0: STA {A} IEEE 802.11: associated (aid 1)", "assoc"),
    (f"Tue Mar  3 10:00:00 2026 daemon.notice hostapd: phy0-ap0: AP-STA-DISCONNECTED {A}", "disconnected.ap"),
    (f"<30>Mar 10 00:00:11 hostapd: wlan0: STA {A} IEEE 802.11: authenticated", "auth_ok"),
    (f"<29>hostapd: wlan0: AP-STA-CONNECTED {A}", "connected.ap"),
    (f"Mar  3 10:00:00 ap1 hostapd[12]: wlan0: AP-STA-CONNECTED {A}", "connected.ap"),
    (
        f"2026-03-03T10:00:00.123456+00:00 ap1 hostapd: wlan0: STA {A} WPA: pairwise key handshake completed (RSN)",
        "handshake_ok.pairwise",
    ),
    (f"Mar  3 10:00:00 hostapd: wlan0: AP-STA-CONNECTED {A}", "connected.ap"),
    (f": hostapd[2345]: ath0: STA {A} IEEE 802.11: disassociated", "disassoc.received"),
    (f"U7PG2,788a20aabbcc,v4.3.28.11361: hostapd: ath0: STA {A} IEEE 802.11: associated", "assoc"),
    (
        f"788a20aabbcc,UAP-AC-Pro-Gen2-6.5.28+14491: hostapd[4211]: ath0: STA {A} WPA: pairwise key handshake completed (RSN)",
        "handshake_ok.pairwise",
    ),
    (f'("U7PG2,788a20aabbcc,v4.3.28.11361") hostapd: ath0: STA {A} IEEE 802.11: associated', "assoc"),
    (f"> <3>AP-STA-CONNECTED {A}", "connected.ap"),
]


@pytest.fixture(scope="module")
def parser() -> EventParser:
    return EventParser(builtin_agents()["wifi"])


@pytest.mark.parametrize(("message", "expected"), [*SELDOM, *HEADS])
def test_a_line_that_is_seldom_met_has_its_class(parser: EventParser, message: str, expected: str) -> None:
    parsed = parser.parse("hostapd", 6, message)
    assert ".".join(filter(None, (parsed.event, parsed.fields.get("kind")))) == expected


@pytest.mark.parametrize("message", [message for message, _ in HEADS])
def test_what_stands_before_a_line_hides_no_address(parser: EventParser, message: str) -> None:
    assert parser.parse("hostapd", 6, message).fields["mac"] == A


@pytest.mark.parametrize(
    "head", ["<30>", "daemon.info ", "Mar  3 10:00:00 ap1 hostapd: ", "hostapd: ", "> <3>", "2026-03-03T10:00:00Z "]
)
def test_a_network_name_cannot_pose_as_an_event_behind_a_head(parser: EventParser, head: str) -> None:
    """Heads are taken from the start of a line only, and what is left must be an event from its first letter on."""
    attempt = f"{head}wlan0: Trying to associate with SSID 'hostapd: wlan0: AP-STA-CONNECTED {A}'"
    assert parser.parse("wpa_supplicant", 6, attempt).event == "attempt"
    assert parser.parse("wpa_supplicant", 6, f"{head}said by a guest: wlan0: AP-STA-CONNECTED {A}").event == "unknown"
