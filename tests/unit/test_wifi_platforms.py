"""What routers, steering daemons and tools print about the radio, in their own words. All addresses are made up."""

from __future__ import annotations

import pytest

from shared.agent import builtin_agents
from shared.events import EventParser

A = "02:00:5e:20:00:01"
B = "02:00:5e:20:00:0b"
STA = f"ap0: STA {A} "
TRACKER = '[STA-TRACKER].stahtd_dump_event(): {"op":"event","message_type":"STA_ASSOC_TRACKER","event_type":'
WHO = f',"mac":"{A}","vap":"wifi0ap2","assoc_status":"0"'
ASUS = "wlceventd_proc_event(531): eth6: "
XIAOMI = f'] - if="wl1", sta_mac="{A}", bssid="{B}", action="x"'

# message, event.kind, fields that must be there (None: must not)
CASES: list[tuple[str, str, dict[str, str | None]]] = [
    # UniFi's tracker: JSON with and without blanks
    (TRACKER + f'"association"{WHO},"auth_rssi": "-61"}}', "assoc", {"mac": A, "signal_dbm": "-61"}),
    (TRACKER + f'"success"{WHO},"auth_rssi":"-61"}}', "connected.tracker", {"mac": A, "signal_dbm": "-61"}),
    (TRACKER + f'"deny"{WHO},"auth_rssi": "-70"}} - lock2ap, flags: 0x1000', "assoc_fail.tracker", {"mac": A}),
    (
        TRACKER + f'"failure"{WHO},"wpa_auth_failures": "2","avg_rssi": "-77","auth_rssi": "-75"}}',
        "psk_mismatch.tracker",
        {"signal_dbm": "-77"},
    ),
    (TRACKER + f'"failure"{WHO},"auth_failures": "1","auth_rssi": "-75"}}', "assoc_fail.tracker", {"mac": A}),
    (
        TRACKER + f'"sta_leave"{WHO},"deauth_reason": "3","avg_rssi": "-58"}}',
        "disconnected.tracker",
        {"reason_code": "3", "signal_dbm": "-58"},
    ),
    (TRACKER + f'"sta_roam"{WHO},"avg_rssi": "-48"}}', "roam.roamed", {"signal_dbm": "-48"}),
    (TRACKER + f'"soft failure"{WHO},"disassoc_reason": "8"}}', "other.tracker", {"reason_code": "8", "mac": A}),
    (TRACKER + f'"dns timeout"{WHO}}}', "other.tracker", {"mac": A}),
    (f"wireless_agg_stats.log_sta_anomalies(): bssid={B} radio=wifi1 sta={A}", "other.tracker", {"bssid": B}),
    # drivers, and lines that a mail program or a debug level gives another form
    (
        f"mwifiex_pcie 0000:03:00.0: info: successfully disconnected from {B}: reason code 3",
        "disconnected.driver",
        {"mac": B, "bssid": B, "reason_code": "3"},
    ),
    (
        f"wlp2s0: aborting authentication with {B} by local choice (Reason: 3=DEAUTH_LEAVING)",
        "auth_fail.aborted",
        {"bssid": B, "reason_code": "3"},
    ),
    (f"Could not set station {A} flags for kernel driver (errno=22).", "driver_error.refused", {"mac": A}),
    (f"ap0: STA {A} IEEE 802.11:authentication OK (open system)", "auth_ok", {"mac": A}),
    ("Deauthentication frame IE(s) - hexdump(len=0): [NULL]", "other.noise", {}),
    ("Note: nl80211 driver interface is not designed to be used with ap_scan=2", "other.noise", {}),
    (f"asoc check, sta({A}) is alive", "other.noise", {"mac": A}),
    ("wlan0: First radio work item in the queue - schedule start immediately", "other.noise", {}),
    ("wlan0:    reject due to mismatch with WPA/WPA2", "other.noise", {}),
    # ASUS: the band steering daemon
    (f"bsd: bsd: Sending act Frame to {A} with transition target eth6 ssid {B}", "roam.steered", {"mac": A}),
    (f"bsd: bsd: STA:{A} no response", "other.noise", {"mac": A}),
    (STA + "WPA: authorized", "connected.authorized", {"mac": A}),
    (STA + f"WPA: UBNT_ROAM received: STA roamed to peer AP {B}", "roam.roamed", {"mac": A}),
    (f"WPA: Receive FT: {A} STA Roamed: {B}", "roam.roamed", {"mac": A}),
    (STA + f"DRIVER: Send AUTH addr={A} status_code=0", "auth_ok", {"status_code": "0"}),
    (STA + f"DRIVER: Sead AUTH addr={A} status_code=17", "auth_fail.refused", {"status_code": "17"}),
    (f"[wifi1ap0] ieee80211_set_node_vid node {A} lan[0]", "other.noise", {"mac": A}),
    ("osif_vap_init: Timeout waiting for vap to stop...continuing", "other.noise", {}),
    # ASUS
    (f"{ASUS}Auth {A}, status: Successful (0), rssi:0", "auth_ok", {"mac": A, "iface": "eth6"}),
    (f"WLCEVENTD {ASUS}Auth {A}, status: 0, reason: d11 RC reserved (0)", "auth_ok", {"reason_code": None}),
    (f"{ASUS}Auth {A}, status: 17, reason: d11 RC reserved (0)", "auth_fail.refused", {"status_code": "17"}),
    (f"{ASUS}ReAssoc {A}, status: Successful (0), rssi:-61", "assoc", {"status_code": "0"}),
    (f"{ASUS}Assoc {A}, status: 17, reason: d11 RC reserved (0)", "assoc_fail.refused", {}),
    (f"{ASUS}Disassoc {A}, status: 0, reason: Station has left (8), rssi:0", "disassoc.received", {"reason_code": "8"}),
    (f"{ASUS}Deauth_ind {A}, status: 0, reason: Unspecified reason (1)", "deauth.received", {"reason_code": "1"}),
    (f"wlceventd: {ASUS}Deauth {A}, status: 0, reason: Left (3)", "deauth.received", {"reason_code": "3"}),
    (f"{ASUS}Something {A}", "other.noise", {"mac": A}),
    # Xiaomi
    (f"wifi_log: [Class 1 - SEND AUTH_RSP{XIAOMI}, status=\"0\"", "auth_ok", {"mac": A, "bssid": B}),
    (f"wifi_log: [Class 2 - SEND ASSOC RSP{XIAOMI}, status=\"0\"", "assoc", {"status_code": "0"}),
    (f"wifi_log: [Class 2 - SEND ASSOC RSP{XIAOMI}, status=\"41\"", "assoc_fail.refused", {"status_code": "41"}),
    (f"wifi_log: [Class 3 - RECV EAPOL 2/4{XIAOMI}", "handshake_step", {"mac": A}),
    (f"wifi_log: [Class 2 - SEND DISASSOC{XIAOMI}, reason=\"4\"", "disassoc.received", {"reason_code": "4"}),
    (f"wifi_log: [Class 1 - SEND DEAUTH{XIAOMI}, reason=\"3\"", "deauth.received", {"reason_code": "3", "bssid": B}),
    # steering daemons
    (f"received probe event from {A}, signal=-73, freq=5180, handled:true", "signal", {"signal_dbm": "-73", "freq": "5180"}),
    (f"usteer event=signal_kick node=hostapd.ap0 sta={A} signal=-88", "roam.steered", {"signal_dbm": "-88"}),
    (f"station {A} disconnected from node hostapd.ap0", "roam.steered", {"mac": A}),
    (f"Create station {A} entry for node hostapd.ap0", "other.noise", {"mac": A}),
    (f"Client / BSSID = {A} / {B}: BEACON REQUEST failed", "roam.steered", {"mac": A}),
    (f"Client {A}: Kicking due to low active data transfer", "roam.steered", {"mac": A}),
    (f"Beacon request: {A} is not connected", "other.noise", {"mac": A}),
    # iw event
    ("wlan0 (phy #0): CQM event: beacon loss", "beacon_loss", {"iface": "wlan0"}),
    ("wlan0 (phy #0): CQM event: RSSI went below threshold", "signal", {}),
    (f"wlan0 (phy #0): auth {A} -> {B} status: 0: Successful", "auth_ok", {"mac": A}),
    (f"wlan0 (phy #0): auth {A} -> {B} status: 13: Auth algorithm", "auth_fail.rejected", {"status_code": "13"}),
    (f"wlan0 (phy #0): assoc {A} -> {B} status: 0: Successful", "assoc", {"mac": A}),
    (f"wlan0 (phy #0): assoc {A} -> {B} status: 17: AP is full", "assoc_fail.rejected", {"status_code": "17"}),
    (f"wlan0 (phy #0): deauth {A} -> {B} reason 7: Class 3 frame", "deauth.received", {"reason_code": "7"}),
    (f"wlan0 (phy #0): disassoc {A} -> {B} reason 8: Leaving", "disassoc.received", {"reason_code": "8"}),
    (f"wlan0 (phy #0): connected to {B}", "connected.iw", {"bssid": B}),
    ("wlan0 (phy #0): disconnected (by AP) reason: 2: no longer valid", "disconnected.iw", {"reason_code": "2"}),
    (f"wlan0: new station {A}", "other.noise", {"mac": A}),
    # NetworkManager, new and old
    ("<info> (wlan0): supplicant interface state: disconnected -> scanning", "scan.done", {"iface": "wlan0"}),
    ("<info>  (wlan0): supplicant interface state: 4-way handshake -> completed", "other.noise", {}),
    ("<warn> Connection disconnected (reason -4)", "other.noise", {"reason_code": None}),
    ("<info> Activation (wlan0/wireless): disconnected during association", "other.noise", {}),
    ("<info>  [1700000000.1234] Config: added 'ssid' value 'cafe'", "other.noise", {"ssid": "cafe"}),
    (f"<info>  [1700000000.1] device (wlan0): roamed from BSSID {A} (cafe) to {B} (cafe)", "roam.roamed", {"mac": A}),
    # iwd
    (f"event: connect-info, ssid: a, bss: b, bss: {B}, signal: -50, load: 0/255", "attempt.iwd", {"ssid": "a, bss: b", "bssid": B}),
    ("event: connect-failed, status: 17", "assoc_fail.rejected", {"status_code": "17"}),
    ("event: connect-timeout, reason: 2", "assoc_fail.timeout", {"reason_code": None}),
    ("event: disconnect-info, reason: 6", "disconnected.iwd", {"reason_code": "6"}),
    (f"event: roam-info, bss: {B}, signal: -61, load: 12/255", "roam.roamed", {"mac": B, "signal_dbm": "-61"}),
    ("event: state, old: connected, new: disconnected", "other.noise", {}),
    ("Received Deauthentication event, reason: 7, from_ap: true", "deauth.remote", {"reason_code": "7"}),
    ("Received Deauthentication event, reason: 3, from_ap: false", "deauth.local", {"local": "1"}),
    ("4-Way handshake failed for ifindex: 4, reason: 15", "handshake_fail.timeout", {"reason_code": "15"}),
    # hostapd and wpa_supplicant
    (f'Using interface ap0 with hwaddr {B} and ssid "Corner "shop""', "ap_state.setup", {"ssid": 'Corner "shop"', "mac": B}),
    ("ACS: Survey for freq 2457 is missing noise floor", "channel", {"freq": "2457"}),
    ("dfs_downgrade_bandwidth: no DFS channels left, waiting for NOP to finish", "dfs", {}),
    ("could not get valid channel", "dfs", {}),
    ("20/40 MHz: center segment 0 (=114) and center freq 1 (=5510) not in sync", "driver_error.driver", {}),
    ("nl80211: Failed to add interface ap0 into bridge br0: Invalid argument", "driver_error.driver", {}),
    ("Add bss 'phy0-ap1' on phy 'phy0'", "ap_state.setup", {}),
    ("Create MLD interface ap-mld0 on phy phy0, radio mask: 7", "ap_state.setup", {}),
    ("No bss for phy phy1", "ap_state.setup", {}),
    ("Failed to create phy0-ap0 on phy phy0: -16", "ap_state.failed", {}),
    (f"ap0: STA\n{A} IEEE 802.11: authenticated", "auth_ok", {"mac": A}),
    ("WPA-PSK setup failed.", "ap_state.failed", {}),
    (STA + "IEEE 802.1X: Access rejected from RADIUS server", "eap_fail.refused", {"mac": A}),
    (STA + "RADIUS: Timeout for 2 times, Resending RADIUS message (id=7)", "eap.other", {}),
    (STA + "IEEE 802.11: Non-Multi-AP STA tries to associate with backhaul-only BSS", "assoc_fail.refused", {}),
    (STA + "WPA: received EAPOL-Key msg 2/4 with invalid Key Data contents", "handshake_fail.bad", {}),
    ("wlan0: FT: RSNE mismatch between Beacon/ProbeResp and FT protocol response", "handshake_fail.differs", {}),
    ("wlan0: WPA: Failed to configure IGTK to the driver", "driver_error.driver", {}),
    ("wlan0: CTRL-EVENT-DRIVER-STATE HANGED", "driver_error.driver", {}),
    ("wlan0: CTRL-EVENT-EAP-PROPOSED-METHOD method=25", "eap.method", {}),
    ("<3>CTRL-EVENT-AUTH-REJECT - Connection refused", "auth_fail.rejected", {}),
    (STA + "IEEE 802.11: a text of tomorrow", "other.noise", {"mac": A}),
    (f"wlan0: SOME-NEW-EVENT {A} x=1", "other.noise", {"mac": A}),
    (f'mesh0: MESH-GROUP-STARTED ssid="{A}" id=0', "other.noise", {"ssid": A, "mac": ""}),
    (f'p2p0: P2P-GROUP-STARTED p2p0 GO ssid="DIRECT-x" freq=2412 go_dev_addr={B}', "other.noise", {"mac": B, "freq": "2412"}),
    ("wlan0: P2P-GO-NEG-SUCCESS role=GO freq=2462 ht40=0", "other.noise", {"freq": "2462"}),
    ("wlan0: State: ASSOCIATING -> DISCONNECTED", "other.noise", {}),
    ("wlan0: Radio work 'connect'@0x1266da0 done in 5.044005 seconds", "other.noise", {}),
    ("EAPOL: External notification - portEnabled=0", "other.noise", {}),
    ("wlan0: No network configuration found for the current AP", "other.noise", {}),
    # the kernel
    ("ieee80211 phy0: brcmf_psm_watchdog_notify: PSM's watchdog has fired!", "driver_error.firmware", {}),
    (f"ath11k c000000.wifi: Failed to add peer: {A} for VDEV: 0", "driver_error.firmware", {"mac": A}),
    ("ath10k_pci 0000:01:00.0: DFS: radar detected", "radar", {}),
    ("wlan0: preparing for channel switch failed, disconnecting", "channel", {}),
    ("wlan0: driver doesn't support chan-switch with channel contexts", "channel", {}),
    ("wlan0: deauthenticated (Reason: 15=4WAY_HANDSHAKE_TIMEOUT)", "deauth.remote", {"reason_code": "15"}),
    ("wlan0: AP has invalid WMM params (AIFSN=1 for ACI 2), will use 2", "other.noise", {}),
    (f"wlan0: direct probe to AP {B} (try 1)", "attempt.kernel", {"bssid": B}),
    (f"wlan0: authenticate with AP {B} (try 1)", "attempt.kernel", {"bssid": B}),
    (f"wlan0: authentication with AP {B} timed out", "auth_fail.timeout", {"bssid": B}),
    ("wlan0: deauthenticating by local choice (reason=3)", "deauth.local", {"reason_code": "3"}),
    ("+rtw_indicate_sta_disassoc_event", "other.noise", {}),
    ("WEXT auth param 4 value 0x0 - Trying to associate with SSID 'cafe'", "attempt.ssid", {"ssid": "cafe"}),
    ("R8188EU: set group key to hw: alg:4", "other.noise", {}),
]  # fmt: skip

# addresses that people replaced by a word: the line counts, the field stays away
MASKED = [
    ("wlan0: STA did not acknowledge authentication response", "auth_fail"),
    ("wlan0: STA  IEEE 802.11: associated (aid 3)", "assoc"),
    ("wlan0: AP-STA-CONNECTED <phone>", "connected"),
    ("<3>AP-STA-DISCONNECTED <MAC ADDRESS>", "disconnected"),
    ("wlan0: AP-STA-CONNECTED [1-phone] vlanid=9 auth_alg=ft", "connected"),
    ("wlan0: STA 02:00:5e:tablet2 IEEE 802.11: authenticated", "auth_ok"),
    ("wlan0: CTRL-EVENT-DISCONNECTED bssid=-attic_5GHz- reason=2", "disconnected"),
    ("wlan0: Trying to associate with -attic_5GHz- (SSID='-home-' freq=2472 MHz)", "attempt"),
    ("wlan0: Associated with -attic_5GHz-", "assoc"),
    ("wlan0: CTRL-EVENT-CONNECTED - Connection to -attic_5GHz- completed [id=0 id_str=]", "connected"),
    ("phy2-ap0: AP-STA-CONNECTED", "connected"),
    ("phy2-ap0: AP-STA-DISCONNECTED", "disconnected"),
    ("phy2-ap0: EAPOL-4WAY-HS-COMPLETED", "handshake_ok"),
    ("phy2-ap0: AP-STA-POSSIBLE-PSK-MISMATCH ", "psk_mismatch"),
    ("WPA_IFACE=wlan0 WPA_ACTION=CONNECTED", "other"),
]

# what stands before a line in exports and in what people paste
LEADERS = [
    "ноя 04 11:05:35 box hostapd[2]: ",
    "touko 06 12:21:01 box hostapd[2]: ",
    "[5 Jul 2026, 17:31:15 UTC] daemon.notice: hostapd: ",
    "[Mar 3, 2026, 1:21:09 PM GMT+2] daemon.info: hostapd: ",
    "[Sat Aug 20 18:15:08 2016] ",
    "2020-10-24T17:22:05.196432+00:00 wpa_supplicant[3]: [info] ",
    "01-17 19:03:58.203 1683 1683 I wpa_supplicant: ",
    "I/wpa_supplicant(23065): ",
    "wpa_supplicant: ",
    "<30>1 2026-03-03T10:00:00.1Z box hostapd 270 - - ",
    "1623423.123456: ",
    "kern.log:Oct 30 11:45:58 box hostapd: ",
    "Jun 16 04:49:02 box user.debug kernel: [ 1184.406668] ",
    "<30>Jun 30 18:00:00 U7-Lite 1c0b8bc42f58,U7-Lite-8.6.11+18870: hostapd: ",
    "Mar  2 15:42:06 box vmunix: [  836.856920] ",
    "Mon Jan 11 22:23:14 2016 daemon.notice netifd: radio1 (11585): ",
    "\x1b[0;32m",
    "^C",
]


@pytest.fixture(scope="module")
def parser() -> EventParser:
    return EventParser(builtin_agents()["wifi"])


@pytest.mark.parametrize(("message", "expected", "fields"), CASES)
def test_a_line_in_a_platforms_own_words_has_its_class_and_fields(
    parser: EventParser, message: str, expected: str, fields: dict[str, str | None]
) -> None:
    parsed = parser.parse("hostapd", 6, message)
    assert ".".join(filter(None, (parsed.event, parsed.fields.get("kind")))) == expected
    assert {name: parsed.fields.get(name) for name in fields} == fields


@pytest.mark.parametrize(("message", "expected"), MASKED)
def test_a_line_whose_address_was_masked_with_a_word_still_counts(
    parser: EventParser, message: str, expected: str
) -> None:
    parsed = parser.parse("hostapd", 6, message)
    assert (parsed.event, parsed.fields.get("mac"), parsed.fields.get("bssid")) == (expected, None, None)


@pytest.mark.parametrize("leader", LEADERS)
def test_what_an_export_puts_before_a_line_does_not_hide_it(parser: EventParser, leader: str) -> None:
    parsed = parser.parse("hostapd", 6, f"{leader}wlan0: STA {A} IEEE 802.11: authenticated")
    assert (parsed.event, parsed.fields["mac"], parsed.fields["iface"]) == ("auth_ok", A, "wlan0")


def test_a_terminals_colours_around_a_line_do_not_hide_it(parser: EventParser) -> None:
    parsed = parser.parse("hostapd", 6, f"\x1b[33mwlan0: STA {A} IEEE 802.11: authenticated\x1b[0m")
    assert (parsed.event, parsed.fields["mac"]) == ("auth_ok", A)
