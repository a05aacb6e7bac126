"""Every message form of the WiFi catalogue: its class, its kind and its fields. All addresses are made up."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from shared.agent import AgentSpec, builtin_agents
from shared.events import EventParser
from shared.frame import open_export

A = "02:00:5e:10:00:01"
B = "02:00:5e:10:00:0b"
STA = f"wlan0: STA {A} "
DOT11 = STA + "IEEE 802.11: "
DOT1X = STA + "IEEE 802.1X: "
WPA = STA + "WPA: "

# message, event.kind, fields that must be there (None: must not)
CASES: list[tuple[str, str, dict[str, str | None]]] = [
    # auth_ok, auth_fail
    (DOT11 + "authenticated", "auth_ok", {"mac": A, "iface": "wlan0"}),
    (DOT11 + "authentication OK (open system)", "auth_ok", {"mac": A, "alg": "open system"}),
    (DOT11 + "authentication OK (FT)", "auth_ok", {"alg": "FT"}),
    (STA + f"MLME: MLME-AUTHENTICATE.indication({A}, OPEN_SYSTEM)", "auth_ok", {"mac": A, "alg": "OPEN_SYSTEM"}),
    ("wlan0: authenticated", "auth_ok", {"mac": None}),
    (f"STA {A} IEEE 802.11: authenticated", "auth_ok", {"mac": A, "iface": None}),
    (f"hostapd_logger: STA {A} - authenticated", "auth_ok", {"mac": A}),
    (DOT11 + "did not acknowledge authentication response", "auth_fail.noack", {"mac": A}),
    (DOT11 + "shared key authentication - invalid challenge-response", "auth_fail.refused", {}),
    ("Unknown authentication transaction number (0)", "auth_fail.refused", {"mac": None}),
    ("Unsupported authentication algorithm (128)", "auth_fail.refused", {}),
    (DOT11 + "authentication failed (FILS)", "auth_fail.refused", {}),
    (f"wlan0: CTRL-EVENT-SAE-UNKNOWN-PASSWORD-IDENTIFIER {A}", "auth_fail.refused", {"mac": A}),
    (f"mesh0: MESH-SAE-AUTH-FAILURE addr={A}", "auth_fail.refused", {"mac": A}),
    (f"mesh0: MESH-SAE-AUTH-BLOCKED addr={A} duration=300", "auth_fail.refused", {"mac": A}),
    (
        f"wlan0: CTRL-EVENT-AUTH-REJECT {B} auth_type=3 auth_transaction=2 status_code=1 ie=0a0b",
        "auth_fail.rejected",
        {"mac": B, "bssid": B, "status_code": "1", "auth_type": "3", "reason_code": None},
    ),
    (f"wlan0: Authentication with {B} timed out.", "auth_fail.timeout", {"bssid": B}),
    (f"wlan0: authentication with {B} timed out", "auth_fail.timeout", {"bssid": B}),
    (f"wlan0: {B} denied authentication (status 17)", "auth_fail.rejected", {"status_code": "17"}),
    # assoc, assoc_fail
    (DOT11 + "associated (aid 3)", "assoc", {"aid": "3"}),
    (DOT11 + "associated", "assoc", {"mac": A, "aid": None}),
    (DOT11 + "association OK (aid 1)", "assoc", {"aid": "1"}),
    (STA + f"MLME: MLME-REASSOCIATE.indication({A})", "assoc", {"mac": A}),
    (f"wlan0: Associated with {B}", "assoc", {"mac": B, "bssid": B}),
    ("wlan0: associated", "assoc", {}),
    (f"wlan0: RX AssocResp from {B} (capab=0x431 status=0 aid=2)", "assoc", {"aid": "2"}),
    (f"wlan0: RX AssocResp from {B} (capab=0x431 status=17 aid=0)", "assoc_fail.rejected", {"status_code": "17"}),
    (DOT11 + "Station tried to associate before authentication (aid=-1 flags=0x0)", "assoc_fail.refused", {"mac": A}),
    (DOT11 + "Station tried to associate with unknown SSID 'it's ours'", "assoc_fail.refused", {"ssid": "it's ours"}),
    (DOT11 + "No WPA/RSN IE in association request", "assoc_fail.refused", {}),
    (DOT11 + "No room for more AIDs", "assoc_fail.refused", {}),
    (DOT11 + "Station does not support mandatory HT PHY - reject association", "assoc_fail.refused", {}),
    (DOT11 + "Station does not support mandatory HE PHY - reject association", "assoc_fail.refused", {}),
    (DOT11 + "Station sent an invalid association request", "assoc_fail.refused", {}),
    (f"STA {A} not allowed to connect", "assoc_fail.refused", {"mac": A}),
    (f"wlan0: AP-REJECTED-MAX-STA {A}", "assoc_fail.refused", {"mac": A}),
    (f"wlan0: AP-REJECTED-BLOCKED-STA {A}", "assoc_fail.refused", {"mac": A}),
    (
        "wlan0: CTRL-EVENT-ASSOC-REJECT bssid=00:00:00:00:00:00 status_code=16",
        "assoc_fail.rejected",
        {"status_code": "16", "mac": "00:00:00:00:00:00"},
    ),
    ("wlan0: CTRL-EVENT-ASSOC-REJECT status_code=1 timeout=PROBE_BSS", "assoc_fail.rejected", {"timeout": "PROBE_BSS"}),
    # attempt
    (
        f"wlan0: SME: Trying to authenticate with {B} (SSID='Cafe' freq=2437 MHz)",
        "attempt.auth",
        {"mac": B, "bssid": B, "ssid": "Cafe", "freq": "2437"},
    ),
    (
        f"wlan0: Trying to associate with {B} (SSID='a' freq=1 MHz) \\'b' freq=5180 MHz)",
        "attempt.assoc",
        {"ssid": "a' freq=1 MHz) \\'b", "freq": "5180"},
    ),
    ("wlan0: Trying to associate with SSID 'Cafe \\xf0\\x9f'", "attempt.ssid", {"ssid": "Cafe \\xf0\\x9f"}),
    (f"wlan0: authenticate with {B}", "attempt.kernel", {"bssid": B}),
    (f"wlan0: authenticate with {B} (local address={A})", "attempt.kernel", {"bssid": B}),
    (f"wlan0: send auth to {B} (try 1/3)", "attempt.kernel", {"bssid": B}),
    # connected, disconnected
    (f"wlan0: AP-STA-CONNECTED {A}", "connected.ap", {"mac": A, "auth_alg": None}),
    (
        f"phy0-ap0: AP-STA-CONNECTED {A} keyid=guest vlanid=7 auth_alg=sae",
        "connected.ap",
        {"auth_alg": "sae", "iface": "phy0-ap0"},
    ),
    (f"wlan0: CTRL-EVENT-CONNECTED - Connection to {B} completed [id=0 id_str=]", "connected.station", {"bssid": B}),
    (f"CTRL-EVENT-CONNECTED - Connection to {B} completed (reauth) [id=0 id_str=]", "connected.station", {"bssid": B}),
    (f"wlan0: AP-STA-DISCONNECTED {A}", "disconnected.ap", {"mac": A}),
    (
        f"wlan0: CTRL-EVENT-DISCONNECTED bssid={B} reason=7",
        "disconnected.remote",
        {"reason_code": "7", "bssid": B, "local": None},
    ),
    (
        f"wlan0: CTRL-EVENT-DISCONNECTED bssid={B} reason=3 locally_generated=1",
        "disconnected.local",
        {"reason_code": "3", "local": "1"},
    ),
    (f"wlan0: Connection to AP {B} lost", "disconnected.lost", {"bssid": B}),
    # disassoc, deauth, inactivity, low_ack
    (DOT11 + "disassociated", "disassoc.received", {"mac": A, "stray": None}),
    (f"Station {A} trying to disassociate, but it is not associated", "disassoc.received", {"mac": A, "stray": "1"}),
    (STA + f"MLME: MLME-DISASSOCIATE.indication({A}, 8)", "disassoc.received", {"reason_code": "8"}),
    (f"wlan0: disassociated from {B} (Reason: 8=DISASSOC_STA_HAS_LEFT)", "disassoc.remote", {"reason_code": "8"}),
    (DOT11 + "deauthenticated due to local deauth request", "deauth.kick", {"mac": A}),
    (DOT11 + "deauthenticated due to session timeout", "deauth.timeout", {}),
    (DOT11 + "deauthenticated", "deauth.received", {"mac": A}),
    (STA + f"MLME: MLME-DEAUTHENTICATE.indication({A}, 3)", "deauth.received", {"reason_code": "3"}),
    (
        f"wlan0: deauthenticated from {B} (Reason: 7=CLASS3_FRAME_FROM_NONASSOC_STA)",
        "deauth.remote",
        {"reason_code": "7"},
    ),
    (f"wlan0: deauthenticated from {B} (Reason: 7)", "deauth.remote", {"reason_code": "7"}),
    (
        f"wlan0: deauthenticating from {B} by local choice (Reason: 3=DEAUTH_LEAVING)",
        "deauth.local",
        {"reason_code": "3", "local": "1"},
    ),
    (DOT11 + "disassociated due to inactivity", "inactivity.idle", {}),
    (DOT11 + "deauthenticated due to inactivity (timer DEAUTH/REMOVE)", "inactivity.housekeeping", {}),
    (DOT11 + "disconnected due to excessive missing ACKs", "low_ack", {"mac": A}),
    # the handshake
    (WPA + "pairwise key handshake completed (RSN)", "handshake_ok.pairwise", {"mac": A, "proto": "RSN"}),
    (f"EAPOL-4WAY-HS-COMPLETED {A}", "handshake_ok.completed", {"mac": A, "iface": None}),
    (f"wlan0: EAPOL-4WAY-HS-COMPLETED {A}", "handshake_ok.completed", {"mac": A, "iface": "wlan0"}),
    (f"wlan0: WPA: Key negotiation completed with {B} [PTK=CCMP GTK=TKIP]", "handshake_ok.station", {"cipher": "CCMP"}),
    (WPA + "start authentication", "handshake_step", {}),
    (WPA + "sending 1/4 msg of 4-Way Handshake", "handshake_step", {}),
    (WPA + "received EAPOL-Key frame (2/4 Pairwise)", "handshake_step", {}),
    (WPA + "ignore retransmitted EAPOL-Key 4/4", "handshake_step", {}),
    (WPA + "EAPOL-Key timeout", "handshake_fail.timeout", {}),
    (WPA + "PTKSTART: Retry limit 4 reached", "handshake_fail.timeout", {}),
    (WPA + "PTKINITNEGOTIATING: Retry limit 4 reached", "handshake_fail.timeout", {}),
    (WPA + "received EAPOL-Key msg 2/4 in invalid state (5) - dropped", "handshake_fail.bad", {}),
    (WPA + "received EAPOL-Key with invalid MIC", "handshake_fail.bad", {}),
    (WPA + "received invalid EAPOL-Key: Key Data Length 4", "handshake_fail.bad", {}),
    (WPA + "WPA IE from (Re)AssocReq did not match with msg 2/4", "handshake_fail.bad", {}),
    (WPA + "did not use HMAC-SHA1-AES with CCMP/GCMP", "handshake_fail.bad", {}),
    (WPA + "received EAPOL-Key request with replayed counter", "handshake_fail.replay", {}),
    (WPA + "received EAPOL-Key msg 2/4 with unexpected replay counter", "handshake_fail.replay", {}),
    ("wlan0: WPA: EAPOL-Key Replay Counter did not increase - dropping packet", "handshake_fail.replay", {"mac": None}),
    (
        f"wlan0: WPA: IE in 3/4 msg does not match with IE in Beacon/ProbeResp (src={B})",
        "handshake_fail.differs",
        {"mac": B},
    ),
    (f"wlan0: AP-STA-POSSIBLE-PSK-MISMATCH {A}", "psk_mismatch.mismatch", {"mac": A}),
    (WPA + "invalid MIC in msg 2/4 of 4-Way Handshake", "psk_mismatch.mic", {"mac": A}),
    ("wlan0: WPA: 4-Way Handshake failed - pre-shared key may be incorrect", "psk_mismatch.hint", {}),
    (
        'wlan0: CTRL-EVENT-SSID-TEMP-DISABLED id=0 ssid="a \\"b\\"" auth_failures=2 duration=20 reason=WRONG_KEY',
        "psk_mismatch.wrong_key",
        {"ssid": 'a \\"b\\"', "auth_failures": "2", "wrong_key": "1", "reason_code": None},
    ),
    (WPA + "group key handshake completed (RSN)", "rekey.group", {"mac": A}),
    ("wlan0: WPA rekeying GTK", "rekey.start", {"iface": "wlan0"}),
    ("WPA: rekeying GTK", "rekey.start", {}),
    (WPA + "sending 1/2 msg of Group Key Handshake", "rekey.step", {}),
    (WPA + "received EAPOL-Key frame (2/2 Group)", "rekey.step", {}),
    (f"wlan0: WPA: Group rekeying completed with {B} [GTK=CCMP]", "rekey.station", {"bssid": B}),
    (WPA + "group key handshake failed (RSN) after 4 tries", "rekey_fail", {"mac": A}),
    # 802.1X
    (f"wlan0: CTRL-EVENT-EAP-STARTED {A}", "eap.started", {"mac": A}),
    ("wlan0: CTRL-EVENT-EAP-STARTED EAP authentication started", "eap.started", {"mac": None}),
    ("wlan0: CTRL-EVENT-EAP-PROPOSED-METHOD vendor=0 method=25 -> NAK", "eap.method", {"eap_method": "25"}),
    ("wlan0: CTRL-EVENT-EAP-METHOD EAP vendor 0 method 25 (PEAP) selected", "eap.method", {}),
    ("wlan0: CTRL-EVENT-EAP-PEER-CERT depth=0 subject='/CN=radius' hash=00ff", "eap.status", {}),
    (f"wlan0: CTRL-EVENT-EAP-RETRANSMIT2 {A}", "eap.status", {"mac": A}),
    (f"wlan0: CTRL-EVENT-EAP-SUCCESS2 {A}", "eap.success", {"mac": A}),
    (DOT1X + "authenticated - EAP type: 25 (PEAP)", "eap.port", {"eap_method": "25"}),
    (DOT1X + "STA identity 'o'hara'", "eap.other", {"identity": "o'hara"}),
    (DOT1X + "Supplicant used different EAP type: 25 (PEAP)", "eap.other", {}),
    (DOT1X + "received EAP packet (code=2 id=1 len=9) from STA: EAP Response-Identity (1)", "eap.other", {}),
    (STA + "RADIUS: Resending RADIUS message (id=3)", "eap.other", {}),
    (f"wlan0: CTRL-EVENT-EAP-FAILURE2 {A}", "eap_fail.failure", {"mac": A}),
    ("wlan0: CTRL-EVENT-EAP-FAILURE EAP authentication failed", "eap_fail.failure", {}),
    (f"wlan0: CTRL-EVENT-EAP-TIMEOUT-FAILURE {A}", "eap_fail.timeout", {"mac": A}),
    (DOT1X + "authentication failed - EAP type: 0 (unknown)", "eap_fail.refused", {"mac": A}),
    (
        "wlan0: CTRL-EVENT-EAP-TLS-CERT-ERROR reason=4 depth=0 subject='/CN=x' err='expired'",
        "eap_fail.cert",
        {"reason_code": None},
    ),
    ("TLS: Certificate verification failed, error 20 (unable to get issuer) depth 0 for '/CN=x'", "eap_fail.cert", {}),
    ("Login incorrect (mschap: wrong password): [bob] (from client ap1 port 0)", "eap_fail.login", {}),
    ("wlan0: RADIUS No response from Authentication server 192.0.2.5:1812 - failover", "eap_fail.server", {}),
    # backoff
    (
        'wlan0: CTRL-EVENT-SSID-TEMP-DISABLED id=0 ssid="x" auth_failures=1 duration=10 reason=CONN_FAILED',
        "backoff.disabled",
        {"disabled_reason": "CONN_FAILED", "duration_s": "10", "reason_code": None},
    ),
    (
        'wlan0: CTRL-EVENT-SSID-TEMP-DISABLED id=0 ssid="reason=WRONG_KEY" auth_failures=1 duration=10 reason=AUTH_FAILED',
        "backoff.disabled",
        {"ssid": "reason=WRONG_KEY"},
    ),
    ('wlan0: CTRL-EVENT-SSID-REENABLED id=0 ssid="x"', "backoff.reenabled", {"ssid": "x"}),
    (
        f"BSSID {B} ignore list count incremented to 2, ignoring for 10 seconds",
        "backoff.ignore",
        {"bssid": B, "count": "2"},
    ),
    (f"BSSID {B} blacklist count incremented to 2, ignoring for 10 seconds", "backoff.ignore", {"bssid": B}),
    (f"Removed BSSID {B} from ignore list (clear)", "backoff.clear", {"bssid": B}),
    # the radio
    (
        "wlan0: CTRL-EVENT-SIGNAL-CHANGE above=0 signal=-71 noise=-95 txrate=65000",
        "signal",
        {"signal_dbm": "-71", "noise_dbm": "-95", "txrate_kbps": "65000", "above": "0"},
    ),
    (
        "wlan0: CTRL-EVENT-SIGNAL-CHANGE above=0 signal=-9999 noise=9999 txrate=0",
        "signal",
        {"signal_dbm": None, "noise_dbm": None},
    ),
    ("wlan0: CTRL-EVENT-BEACON-LOSS ", "beacon_loss", {"iface": "wlan0"}),
    ("wlan0: detected beacon loss from AP (missed 7 beacons) - probing", "beacon_loss", {}),
    ("wlan0: CTRL-EVENT-SCAN-FAILED ret=-16 retry=1", "scan.failed", {"errno": "-16"}),
    (
        "<info>  [1700000000.1234] device (wlan0): supplicant interface state: inactive -> scanning",
        "scan.done",
        {"iface": "wlan0"},
    ),
    ("wlan0: IEEE 802.11 driver had channel switch: freq=5180, ht=1, vht_ch=0x0", "channel", {"freq": "5180"}),
    (
        "wlan0: IEEE 802.11 driver starting channel switch: iface->freq=5180, freq=5260, ht=1",
        "channel",
        {"freq": "5260"},
    ),
    ("wlan0: CTRL-EVENT-STARTED-CHANNEL-SWITCH freq=5500 ht_enabled=1 ch_offset=0", "channel", {"freq": "5500"}),
    ("wlan0: AP-CSA-FINISHED freq=2412 dfs=0", "channel", {"freq": "2412"}),
    ("wlan0: ACS-COMPLETED freq=2462 channel=11", "channel", {"freq": "2462"}),
    ("wlan0: ACS: Automatic channel selection started", "channel", {}),
    (
        "wlan0: DFS-CAC-START freq=5500 chan=100 sec_chan=0, width=0, seg0=0, seg1=0, cac_time=60s",
        "dfs",
        {"freq": "5500"},
    ),
    ("wlan0: DFS-CAC-COMPLETED success=0 freq=5500 ht_enabled=0", "dfs", {"freq": "5500"}),
    ("wlan0: DFS-NEW-CHANNEL freq=5180 chan=36 sec_chan=0", "dfs", {"freq": "5180"}),
    ("DFS start_dfs_cac() failed, -1", "dfs", {}),
    ("wlan0: DFS-RADAR-DETECTED freq=5500 ht_enabled=1 chan_offset=0 chan_width=0", "radar", {"freq": "5500"}),
    (f"wlan0: BSS-TM-RESP {A} status_code=0 bss_termination_delay=0 target_bssid={B}", "roam.asked", {"mac": A}),
    ("wlan0: WNM: Preferred List Available", "roam.asked", {}),
    (f"usteer event=signal_kick node=hostapd.wlan0 sta={A} signal=-80", "roam.steered", {"mac": A}),
    (
        f"usteer event=probe_req_deny node=hostapd.wlan0 sta={A} reason=low_signal signal=-88 snr=7",
        "signal",
        {"signal_dbm": "-88"},
    ),
    (f"wlan0: WPS-REG-SUCCESS {A} 00000000-0000-0000-0000-000000000001", "wps", {"mac": A}),
    ("wlan0: WPS-FAIL msg=8 config_error=18 reason=1 (TEXT)", "wps.fail", {"reason_code": None, "wps_error": "18"}),
    ("wlan0: WPS-AP-SETUP-LOCKED ", "wps.locked", {}),
    # access point and driver
    ("wlan0: AP-ENABLED ", "ap_state.start", {}),
    ("wlan0: AP-DISABLED ", "ap_state.stop", {}),
    ("wlan0: CTRL-EVENT-TERMINATING ", "ap_state.stop", {}),
    ("wlan0: interface state ENABLED->DISABLED", "ap_state.stop", {}),
    ("wlan0: interface state UNINITIALIZED->COUNTRY_UPDATE", "ap_state.change", {"from": "UNINITIALIZED"}),
    ("wlan0: interface state COUNTRY_UPDATE->ENABLED", "ap_state.change", {"to": "ENABLED"}),
    ("Configuration file: /etc/hostapd/hostapd.conf", "ap_state.setup", {}),
    (f'Using interface wlan0 with hwaddr {B} and ssid "x"', "ap_state.setup", {"mac": B}),
    ("wlan0: Unable to setup interface.", "ap_state.failed", {}),
    ("nl80211: deinit ifname=wlan0 disabled_11b_rates=0", "ap_state.setup", {}),
    ("Successfully initialized wpa_supplicant", "ap_state.init", {}),
    (DOT11 + "Could not add STA to kernel driver", "driver_error.refused", {"mac": A}),
    (DOT11 + "Could not set STA to kernel driver", "driver_error.refused", {}),
    ("handle_probe_req: send failed", "driver_error.send", {}),
    ("nl80211: kernel reports: key addition failed", "driver_error.driver", {}),
    ("Can't set freq params", "driver_error.driver", {}),
    (
        "[  123.456789] brcmfmac: brcmf_psm_watchdog_notify: mailbox indicates firmware halted",
        "driver_error.firmware",
        {},
    ),
    ("iwlwifi 0000:02:00.0: Microcode SW error detected.  Restarting 0x2000000.", "driver_error.firmware", {}),
    ("mt76x2u 1-1:1.0: Message 00020007 (seq 7) timeout", "driver_error.firmware", {}),
    ("ieee80211 phy0: cmd 0x8122=SetKey timed out", "driver_error.firmware", {}),
    ("ath10k_pci 0000:01:00.0: firmware crashed! (guid n/a)", "driver_error.firmware", {}),
    ("wlan0: WPA: Failed to set PTK to the driver (alg=3 keylen=16)", "driver_error.driver", {}),
    ("wlan0: IEEE 802.11 Configured channel (36) not found from the channel list", "ap_state.failed", {}),
    ("1 errors found in configuration file '/etc/hostapd/hostapd.conf'", "ap_state.failed", {}),
    # around it
    (f"DHCPDISCOVER(br-lan) {A}", "dhcp.discover", {"mac": A, "iface": "br-lan"}),
    (f"DHCPOFFER(br-lan) 192.0.2.9 {A}", "dhcp.offer", {"mac": A, "ip": "192.0.2.9"}),
    (f"1234567 DHCPREQUEST(br-lan) 192.0.2.9 {A}", "dhcp.request", {"mac": A}),
    (f"DHCPACK(br-lan) 192.0.2.9 {A} phone", "dhcp.ack", {"name": "phone"}),
    (f"DHCPNAK(br-lan) 192.0.2.9 {A} wrong network", "dhcp.nak", {}),
    ("no address range available for DHCP request via br-lan", "dhcp.none", {}),
    ("1234567 vendor class: android-dhcp-14", "dhcp.detail", {}),
    ("wlan0: CTRL-EVENT-REGDOM-CHANGE init=CORE type=WORLD", "other.noise", {}),
    ("wlan0: CTRL-EVENT-SUBNET-STATUS-UPDATE status=0", "other.noise", {}),
    (f"wlan0: AP-STA-POLL-OK {A}", "other.poll", {"mac": A}),
    (f"wlan0: STA-OPMODE-SMPS-MODE-CHANGED {A} off", "other.noise", {}),
    (f"wlan0: BEACON-REQ-TX-STATUS {A} 1 ack=1", "other.noise", {}),
    (STA + "RADIUS: starting accounting session 0123456789ABCDEF", "other.noise", {"mac": A}),
    (WPA + "event 5 notification", "other.noise", {}),
    (STA + f"MLME: MLME-DELETEKEYS.request({A})", "other.noise", {}),
    ("br-lan: port 2(wlan0) entered forwarding state", "other.noise", {}),
    (DOT11 + "Michael MIC failure detected in received frame", "other.mic", {"mac": A}),
    (DOT11 + "TKIP countermeasures initiated", "other.mic", {"mac": A}),
    (DOT11 + "Beacon protection failure reported", "other.beacon", {"mac": A}),
    (f"wlan0: OCV-FAILURE addr={A} frame=eapol-key-m2 error=mismatch", "other.security", {"mac": A}),
    (f"wlan0: CTRL-EVENT-UNPROT-BEACON {B}", "other.beacon", {"mac": B}),
    ("wlan0: CTRL-EVENT-EAP-PROPOSED-METHOD vendor=14122 method=1", "eap.wps", {"eap_vendor": "14122"}),
    ("wlan0: CTRL-EVENT-EAP-PROPOSED-METHOD vendor=0 method=254", "eap.wps", {"eap_method": "254"}),
    (DOT1X + "authentication failed - EAP type: 254 (expanded)", "eap_fail.wps", {"eap_method": "254"}),
    # platforms
    (f"<3>CTRL-EVENT-DISCONNECTED bssid={B} reason=2", "disconnected.remote", {"reason_code": "2"}),
    (f"IFNAME=wlan0 <3>AP-STA-CONNECTED {A}", "connected.ap", {"mac": A}),
    ("[  123.456789] wlan0: associated", "assoc", {"iface": "wlan0"}),
    ("radio0 (1234): wlan0: AP-ENABLED", "ap_state.start", {"iface": "wlan0"}),
    (f"hostapd[1234]: ath0: STA {A} IEEE 802.11: disassociated", "disassoc.received", {"iface": "ath0", "mac": A}),
    (f"hostapd: ath0: STA {A} IEEE 802.11: disassociated", "disassoc.received", {"iface": "ath0"}),
    (
        'stahtd: stahtd[99]: [STA-TRACKER].stahtd_dump_event(): {"message_type":"STA_ASSOC_TRACKER","mac":"'
        + A
        + '","vap":"wifi0ap1","event_type":"sta_roam"}',
        "roam.roamed",
        {"mac": A},
    ),
    (
        f'[STA-TRACKER].stahtd_dump_event(): {{"message_type":"STA_ASSOC_TRACKER","event_type":"failure","mac":"{A}"}}',
        "assoc_fail.tracker",
        {"mac": A},
    ),
    (f"wevent[7]: wevent.ubnt_custom_event(): EVENT_STA_JOIN wifi0ap1: {A} / 1", "connected.tracker", {"mac": A}),
    # addresses as people print them
    ("wlan0: AP-STA-CONNECTED 02:00:5E:10:00:AB", "connected.ap", {"mac": "02:00:5E:10:00:AB"}),
    ("wlan0: AP-STA-CONNECTED 02-00-5e-10-00-ab", "connected.ap", {"mac": "02-00-5e-10-00-ab"}),
    ("wlan0: AP-STA-CONNECTED 02:00:5e:xx:xx:xx", "connected.ap", {"mac": "02:00:5e:xx:xx:xx"}),
    ("wlan0: AP-STA-CONNECTED 02:00:5e:**:**:**", "connected.ap", {"mac": "02:00:5e:**:**:**"}),
    ("wlan0: AP-STA-CONNECTED XX:XX:XX:XX:XX:XX", "connected.ap", {"mac": None}),
    (f"wlan0: something new about {A} and {B}", "unknown", {"mac": A}),
]


@pytest.fixture(scope="module")
def spec() -> AgentSpec:
    return builtin_agents()["wifi"]


@pytest.fixture(scope="module")
def parser(spec: AgentSpec) -> EventParser:
    return EventParser(spec)


@pytest.mark.parametrize(
    ("message", "expected", "fields"), CASES, ids=[f"{i}-{case[1]}" for i, case in enumerate(CASES)]
)
def test_a_catalogued_line_has_its_class_kind_and_fields(
    spec: AgentSpec, parser: EventParser, message: str, expected: str, fields: dict[str, str | None]
) -> None:
    parsed = parser.parse("hostapd", 6, message)
    kind = parsed.fields.get("kind")
    assert parsed.event + (f".{kind}" if kind else "") == expected
    assert {name: parsed.fields.get(name) for name in fields} == fields
    assert spec.event_names[parsed.index] == parsed.event


def test_every_class_has_a_sample_here(spec: AgentSpec) -> None:
    assert {name.split(".")[0] for _, name, _ in CASES} == set(spec.event_names)


@pytest.mark.parametrize(
    "name",
    [
        "AP-ENABLED",
        f"AP-STA-POSSIBLE-PSK-MISMATCH {A}",
        "x') did not acknowledge authentication response",
        "<3>AP-DISABLED ",
    ],
)
def test_a_network_name_cannot_pose_as_an_event(parser: EventParser, name: str) -> None:
    parsed = parser.parse("wpa_supplicant", 5, f"wlan0: Trying to associate with SSID '{name}'")
    assert parsed.event == "attempt"
    assert parsed.fields["ssid"] == name


def test_repeat_compression_counts_the_line_inside(parser: EventParser) -> None:
    parsed = parser.parse(
        "hostapd", 6, f"message repeated 7 times: [ {DOT11}did not acknowledge authentication response]"
    )
    assert (parsed.event, parsed.repeat, parsed.again, parsed.fields["mac"]) == ("auth_fail", 7, 0, A)


def test_last_message_repeated_is_its_own_event_with_the_count(parser: EventParser) -> None:
    parsed = parser.parse("hostapd", 6, "last message repeated 12 times")
    assert (parsed.event, parsed.repeat, parsed.again) == ("repeat", 1, 12)


def test_equal_messages_are_parsed_once_and_the_cache_is_bounded(parser: EventParser) -> None:
    first = parser.parse("hostapd", 6, DOT11 + "authenticated")
    assert parser.parse("hostapd", 6, DOT11 + "authenticated") is first
    for number in range(20_100):
        parser.parse("hostapd", 6, f"line {number}")
    assert len(parser._cache) <= 20_000


def test_the_shape_hides_what_differs(parser: EventParser) -> None:
    one = parser.parse("x", 6, f"wlan0: odd thing {A} 'net one' took 17 ms id 0x1f")
    two = parser.parse("x", 6, f"wlan0: odd thing {B} 'net two' took 3 ms id 0x2a")
    assert one.shape == two.shape == "wlan#: odd thing <mac> <text> took # ms id #"


def test_any_text_is_parsed_without_an_error(parser: EventParser) -> None:
    random.seed(4)
    alphabet = "wlan0: STA'\"\\\x00\x1b[](){}\u202e\ud800é02:5eCTRL-EVENT"
    for _ in range(2000):
        parser.parse("hostapd", 6, "".join(random.choices(alphabet, k=random.randint(0, 200))))
    assert parser.parse("hostapd", 6, "x" * 1_000_000).event == "unknown"


def test_the_example_log_holds_no_line_that_is_unknown(parser: EventParser) -> None:
    examples = Path(__file__).parents[2] / "examples"
    for path in sorted(examples.glob("*.csv.gz")):
        rows = open_export(path).rows()
        unknown = [row[6] for row in rows if parser.parse(row[3], row[5], row[6]).event == "unknown"]
        assert unknown == [], path
