"""A small network that writes what real daemons write, calm or attacked. Formats are those of hostapd and wpa_supplicant.

Two access points (ap1 also with WPA3 on wlan1, ap2 with 802.1X on wlan2) and three stations. `calm(days)` is ordinary
life; the functions below it are attacks and faults, each a list of rows that begin at `at` seconds after START.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from shared.values import Row
from tests.rows import AP, STATION, in_order, row

DAY = 86_400
SSID = "Home Net"
BSSID = {"ap1": "06:00:00:00:0a:01", "ap2": "06:00:00:00:0a:02"}
FREQ = {"ap1": 2412, "ap2": 2437}
STATIONS = {"cam": "02:00:00:00:00:01", "laptop": "02:00:00:00:00:02", "phone": "02:00:00:00:00:03"}
WPA3 = "02:00:00:00:02:00"
OTHERS = [f"02:00:00:00:01:{n:02x}" for n in range(6)]  # devices whose own logs nobody collects


def ap_join(t: float, mac: str, host: str) -> list[Row]:
    return [
        row(t, f"wlan0: STA {mac} IEEE 802.11: authenticated", host),
        row(t + 0.1, f"wlan0: STA {mac} IEEE 802.11: associated (aid 1)", host),
        row(t + 0.2, f"wlan0: AP-STA-CONNECTED {mac}", host),
        row(t + 0.2, f"wlan0: STA {mac} WPA: pairwise key handshake completed (RSN)", host),
        row(t + 0.2, f"wlan0: EAPOL-4WAY-HS-COMPLETED {mac}", host),
    ]


def wpa3_join(t: float, host: str, resumed: bool) -> list[Row]:
    """A WPA3 client on the second radio: an `authenticated` line comes only where an earlier login is resumed."""
    join = ap_join(t, WPA3, host)[0 if resumed else 1 :]
    return [(*r[:6], r[6].replace("wlan0", "wlan1")) for r in join]


def ap_leave(t: float, mac: str, host: str) -> list[Row]:
    return [
        row(t, f"wlan0: AP-STA-DISCONNECTED {mac}", host),
        row(t, f"wlan0: STA {mac} IEEE 802.11: disassociated", host),
        row(t + 1, f"wlan0: STA {mac} IEEE 802.11: deauthenticated due to inactivity (timer DEAUTH/REMOVE)", host),
    ]


def station_join(t: float, name: str, host: str = "ap1", bssid: str = "", freq: int = 0) -> list[Row]:
    bssid, freq = bssid or BSSID[host], freq or FREQ[host]
    aim = f"{bssid} (SSID='{SSID}' freq={freq} MHz)"
    return [
        row(t, f"wlan0: SME: Trying to authenticate with {aim}", name, STATION, 5),
        row(t + 0.1, f"wlan0: Trying to associate with {aim}", name, STATION, 5),
        row(t + 0.2, f"wlan0: Associated with {bssid}", name, STATION, 5),
        row(t + 0.3, f"wlan0: WPA: Key negotiation completed with {bssid} [PTK=CCMP GTK=CCMP]", name, STATION, 5),
        row(t + 0.3, f"wlan0: CTRL-EVENT-CONNECTED - Connection to {bssid} completed [id=0 id_str=]", name, STATION, 5),
    ]


def thrown_out(t: float, name: str, reason: int, host: str = "ap1") -> list[Row]:
    return [row(t, f"wlan0: CTRL-EVENT-DISCONNECTED bssid={BSSID[host]} reason={reason}", name, STATION, 5)]


def say(name: str, times: Iterator[float] | list[float], *messages: str) -> list[Row]:
    """The same messages at several times."""
    program = STATION if name in STATIONS else AP
    return [row(t + 0.01 * k, message, name, program) for t in times for k, message in enumerate(messages)]


def every(at: float, count: int, gap_s: float) -> list[float]:
    return [at + k * gap_s for k in range(count)]


def calm(days: int, seed: int = 1) -> list[Row]:
    """Ordinary life: key renewals, people who come and go, a mistyped password now and then, roaming, weak signals."""
    rng, rows = random.Random(seed), list[Row]()
    home = {mac: "ap1" if n % 2 else "ap2" for n, mac in enumerate([*STATIONS.values(), *OTHERS])}
    for renewal in range(600, days * DAY, 600):
        for mac, host in home.items():
            rows.append(row(renewal + rng.random(), f"wlan0: STA {mac} WPA: group key handshake completed (RSN)", host))
        for station, mac in STATIONS.items():
            rekeyed = f"wlan0: WPA: Group rekeying completed with {BSSID[home[mac]]} [GTK=CCMP]"
            rows += say(station, [renewal + rng.random()], rekeyed)
    for mac in home:
        for day in range(days):
            for _ in range(rng.randint(2, 6)):
                t, host = day * DAY + rng.uniform(6, 23) * 3600, rng.choice(["ap1", "ap2"])
                rows += [*ap_leave(t - 3, mac, host), *ap_join(t, mac, host)]
                name = next((n for n, m in STATIONS.items() if m == mac), None)
                if name:
                    gone = f"wlan0: CTRL-EVENT-DISCONNECTED bssid={BSSID[host]} reason=3 locally_generated=1"
                    rows += [*say(name, [t - 3], gone), *station_join(t, name, host)]
    for t in range(4 * 3600, days * DAY, 6 * 3600):
        rows += wpa3_join(t, "ap1", resumed=t % DAY < 5 * 3600)
    for day in range(days):
        t, mac, host = day * DAY + rng.uniform(8, 20) * 3600, rng.choice(OTHERS), rng.choice(["ap1", "ap2"])
        rows += say(host, every(t, 4, 1), f"wlan0: AP-STA-POSSIBLE-PSK-MISMATCH {mac}")
        rows += say(host, [t + 4], f"wlan0: STA {mac} IEEE 802.11: deauthenticated due to local deauth request")
        rows += say(host, [t + 60], f"wlan0: STA {mac} IEEE 802.11: did not acknowledge authentication response")
        rows += say(
            "phone", every(t, 3, 40), "wlan0: CTRL-EVENT-SIGNAL-CHANGE above=0 signal=-71 noise=9999 txrate=26000"
        )
    return in_order(rows)


# ---- attacks and faults ----------------------------------------------------------------------------------------------


def stranger(n: int) -> str:
    return f"{(n * 37) % 64 * 4 + 2:02x}:{n % 251:02x}:{n % 83:02x}:{n % 17:02x}:00:{n % 256:02x}"


def wps_guessing(at: float) -> list[Row]:
    mac, times = stranger(1), every(at, 12, 12)
    failed = "wlan0: WPS-FAIL msg=8 config_error=18 reason=2 (Authentication Failure)"
    begin = "wlan0: CTRL-EVENT-EAP-PROPOSED-METHOD vendor=14122 method=1"
    rows = say("ap1", times, f"wlan0: CTRL-EVENT-EAP-STARTED {mac}", begin)
    rows += say("ap1", [t + 3 for t in times], failed, f"wlan0: CTRL-EVENT-EAP-FAILURE {mac}")
    return [*rows, *say("ap1", [at + 40], "wlan0: WPS-AP-SETUP-LOCKED ")]


def wps_success(at: float) -> list[Row]:
    """A guest uses the button: the EAP failure at the end is how it ends well."""
    mac = OTHERS[0]
    begin = "wlan0: CTRL-EVENT-EAP-PROPOSED-METHOD vendor=14122 method=1"
    end = [f"wlan0: WPS-REG-SUCCESS {mac} 12345678-9abc", "wlan0: WPS-SUCCESS", f"wlan0: CTRL-EVENT-EAP-FAILURE {mac}"]
    rows = say("ap1", [at], "wlan0: WPS-PBC-ACTIVE", f"wlan0: CTRL-EVENT-EAP-STARTED {mac}", begin)
    return [*rows, *say("ap1", [at + 4], *end), *ap_join(at + 6, mac, "ap1")]


def radius_outage(at: float) -> list[Row]:
    lost = f"wlan2: STA {OTHERS[1]} RADIUS: No response from Authentication server 192.0.2.5:1812 - failover"
    return say("ap2", every(at, 8, 45), lost)


def eap_guessing(at: float) -> list[Row]:
    mac = stranger(2)
    failed = f"wlan2: STA {mac} IEEE 802.1X: authentication failed - EAP type: 0 (unknown)"
    return say(
        "ap2", every(at, 40, 8), f"wlan2: CTRL-EVENT-EAP-STARTED {mac}", f"wlan2: CTRL-EVENT-EAP-FAILURE {mac}", failed
    )


def rekey_fault(at: float) -> list[Row]:
    rows = []
    for k, mac in enumerate([*OTHERS, *STATIONS.values()]):
        failed = f"wlan0: STA {mac} WPA: group key handshake failed (RSN) after 4 tries"
        rows += say("ap1", every(at + 0.2 * k, 2, 600), failed)
    return rows


def rekey_fault_at_station(at: float) -> list[Row]:
    times = every(at, 5, 130)
    return [r for t in times for r in [*thrown_out(t, "laptop", 16), *station_join(t + 2, "laptop")]]


def firmware_fault(at: float) -> list[Row]:
    crash = "brcmfmac: brcmf_sdio_hostmail: mailbox indicates firmware halted"
    late = "brcmfmac: brcmf_cfg80211_get_channel: chanspec failed w/status -110"
    return [(*r[:3], "kernel", *r[4:]) for r in say("ap1", every(at, 10, 20), crash, late)]


def deaf_radio(at: float) -> list[Row]:
    return [
        r
        for k, mac in enumerate(OTHERS)
        for r in say("ap1", [at + 0.1 * k], f"wlan0: STA {mac} IEEE 802.11: disassociated due to inactivity")
    ]


def jamming(at: float) -> list[Row]:
    return [
        r
        for k, mac in enumerate(OTHERS)
        for r in say("ap1", every(at + k, 4, 60), f"wlan0: STA {mac} IEEE 802.11: disconnected due to excessive missing ACKs")
    ]  # fmt: skip


def weak_client(at: float) -> list[Row]:
    lost = f"wlan0: STA {OTHERS[2]} IEEE 802.11: disconnected due to excessive missing ACKs"
    return [r for t in every(at, 12, 45) for r in [*say("ap1", [t], lost), *ap_join(t + 5, OTHERS[2], "ap1")]]


def radar_storm(at: float) -> list[Row]:
    seen = "wlan1: DFS-RADAR-DETECTED freq=5260 ht_enabled=0 chan_offset=0 chan_width=0 cf1=0 cf2=0"
    moved = "wlan1: DFS-NEW-CHANNEL freq=5500 chan=100 sec_chan=0"
    return say("ap1", every(at, 5, 90), seen, moved)


def tkip_attack(at: float) -> list[Row]:
    bad = f"wlan0: STA {OTHERS[0]} IEEE 802.11: Michael MIC failure detected in received frame"
    return say("ap1", every(at, 4, 30), bad, "wlan0: IEEE 802.11 TKIP countermeasures initiated")


def dhcp_starvation(at: float) -> list[Row]:
    rows = []
    for n, t in enumerate(every(at, 80, 1)):
        rows.append(row(t, f"DHCPDISCOVER(wlan0) {stranger(n)}", "ap1", "dnsmasq-dhcp"))
        rows.append(row(t, f"DHCPOFFER(wlan0) 192.0.2.{n} {stranger(n)}", "ap1", "dnsmasq-dhcp"))
    return rows


def wpa3_wrong_password(at: float) -> list[Row]:
    refused = f"wlan0: CTRL-EVENT-AUTH-REJECT {BSSID['ap1']} auth_type=3 auth_transaction=2 status_code=1"
    given_up = f'wlan0: CTRL-EVENT-SSID-TEMP-DISABLED id=0 ssid="{SSID}" auth_failures=3 duration=30 reason=CONN_FAILED'
    return say("laptop", every(at, 8, 30), refused, given_up)


def expired_certificate(at: float) -> list[Row]:
    bad = "wlan0: CTRL-EVENT-EAP-TLS-CERT-ERROR reason=4 depth=0 subject='/CN=radius' err='certificate has expired'"
    return say("laptop", every(at, 6, 40), bad, "wlan0: CTRL-EVENT-EAP-FAILURE EAP authentication failed")


def password_guessing(at: float) -> list[Row]:
    rows = []
    for n, t in enumerate(every(at, 25, 20)):
        mac = stranger(n)
        rows += say(
            "ap1",
            [t],
            f"wlan0: STA {mac} IEEE 802.11: authenticated",
            f"wlan0: STA {mac} IEEE 802.11: associated (aid 2)",
        )
        rows += say("ap1", every(t + 0.1, 4, 1), f"wlan0: AP-STA-POSSIBLE-PSK-MISMATCH {mac}")
        rows += say("ap1", [t + 5], f"wlan0: STA {mac} IEEE 802.11: deauthenticated due to local deauth request")
    return rows


def authentication_flood(at: float) -> list[Row]:
    return [
        r
        for n, t in enumerate(every(at, 300, 0.3))
        for r in say("ap1", [t], f"wlan0: STA {stranger(n)} IEEE 802.11: did not acknowledge authentication response")
    ]


def association_flood(at: float) -> list[Row]:
    mac = stranger(3)
    asked = f"wlan0: STA {mac} IEEE 802.11: authenticated"
    return say("ap1", every(at, 200, 0.4), asked, f"wlan0: STA {mac} IEEE 802.11: associated (aid 2)")


def disassociation_flood(at: float) -> list[Row]:
    mac = STATIONS["cam"]
    forged = f"wlan0: STA {mac} IEEE 802.11: disassociated"
    return [r for t in every(at, 25, 6) for r in [*say("ap1", [t], forged), *ap_join(t + 1, mac, "ap1")]]


def deauthentication_flood(at: float) -> list[Row]:
    """The access point's address is forged: it sees clients join again that never left."""
    rows = []
    for t in every(at, 20, 10):
        for name, mac in STATIONS.items():
            rows += [*thrown_out(t, name, 7), *station_join(t + 1, name), *ap_join(t + 1, mac, "ap1")]
    return rows


def crash_loop(at: float) -> list[Row]:
    up = ["Configuration file: /etc/hostapd.conf", "wlan0: interface state UNINITIALIZED->COUNTRY_UPDATE"]
    up += ["wlan0: interface state COUNTRY_UPDATE->ENABLED", "wlan0: AP-ENABLED "]
    rows = say("ap1", every(at, 12, 20), *up)
    for t in every(at + 3, 12, 20):
        for name, mac in STATIONS.items():
            rows += [*thrown_out(t, name, 2), *station_join(t + 2, name), *ap_join(t + 2, mac, "ap1")]
    return rows


def failed_starts(at: float) -> list[Row]:
    lines = ["Configuration file: /etc/hostapd.conf", "wlan0: interface state UNINITIALIZED->DISABLED"]
    return say("ap1", every(at, 10, 20), *lines, "Interface initialization failed", "wlan0: Unable to setup interface.")


def false_access_point(at: float) -> list[Row]:
    """The laptop is pushed off and lured; the access point sees it come back each time."""
    rows = []
    given_up = f'wlan0: CTRL-EVENT-SSID-TEMP-DISABLED id=0 ssid="{SSID}" auth_failures=1 duration=10 reason=WRONG_KEY'
    for t in every(at, 12, 25):
        rows += [*thrown_out(t, "laptop", 7), *station_join(t + 1, "laptop", bssid="0a:00:00:00:66:66", freq=2462)[:2]]
        rows += [*say("laptop", [t + 5], given_up), *station_join(t + 15, "laptop")]
        rows += ap_join(t + 15, STATIONS["laptop"], "ap1")
    return rows


def copied_address(at: float) -> list[Row]:
    mac, rows = STATIONS["cam"], list[Row]()
    replayed = "wlan0: WPA: EAPOL-Key Replay Counter did not increase - dropping packet"
    for t in every(at, 15, 25):
        rows += [*ap_join(t, mac, "ap1"), *say("cam", [t + 1], replayed), *thrown_out(t + 2, "cam", 3)]
        rows += station_join(t + 3, "cam")
    return rows


def flapping_station(at: float) -> list[Row]:
    gone = f"wlan0: CTRL-EVENT-DISCONNECTED bssid={BSSID['ap1']} reason=4 locally_generated=1"
    rows = []
    for t in every(at, 25, 25):
        rows += [*say("phone", [t], "wlan0: CTRL-EVENT-BEACON-LOSS ", gone), *station_join(t + 4, "phone")]
        rows += [*ap_leave(t + 3, STATIONS["phone"], "ap1")[:1], *ap_join(t + 4, STATIONS["phone"], "ap1")]
    return rows


def restarting_daemon(at: float) -> list[Row]:
    return [
        r
        for t in every(at, 10, 30)
        for r in [*say("cam", [t], "Successfully initialized wpa_supplicant"), *station_join(t + 3, "cam")]
    ]


# what happens, at which host it is looked for, what its incident is called
CASES: list[tuple[Callable[[float], list[Row]], str, str]] = [
    (wps_guessing, "ap1", "wps_bruteforce"),
    (radius_outage, "ap2", "radius_outage"),
    (eap_guessing, "ap2", "eap_failure_burst"),
    (rekey_fault, "ap1", "rekey_fault"),
    (rekey_fault_at_station, "laptop", "rekey_fault"),
    (firmware_fault, "ap1", "driver_fault"),
    (deaf_radio, "ap1", "driver_fault"),
    (jamming, "ap1", "interference"),
    (weak_client, "ap1", "sta_flapping"),
    (radar_storm, "ap1", "radar_storm"),
    (tkip_attack, "ap1", "mic_failures"),
    (dhcp_starvation, "ap1", "dhcp_starvation"),
    (wpa3_wrong_password, "laptop", "wrong_key"),
    (expired_certificate, "laptop", "certificate_fault"),
    (password_guessing, "ap1", "psk_bruteforce"),
    (authentication_flood, "ap1", "auth_flood"),
    (association_flood, "ap1", "assoc_flood"),
    (disassociation_flood, "ap1", "deauth_flood"),
    (deauthentication_flood, "ap1", "deauth_flood"),
    (deauthentication_flood, "phone", "deauth_flood"),
    (crash_loop, "ap1", "ap_crash_loop"),
    (crash_loop, "cam", "ap_crash_loop"),
    (failed_starts, "ap1", "ap_crash_loop"),
    (false_access_point, "laptop", "evil_twin"),
    (false_access_point, "ap1", "evil_twin"),
    (copied_address, "cam", "mac_spoofing"),
    (copied_address, "ap1", "mac_spoofing"),
    (flapping_station, "phone", "sta_flapping"),
    (flapping_station, "ap1", "sta_flapping"),
    (restarting_daemon, "cam", "daemon_crash_loop"),
]
