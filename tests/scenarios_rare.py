"""More attacks and faults on the network of tests/scenarios.py: those that one seldom meets, and other faces of known ones."""

from __future__ import annotations

from collections.abc import Callable

from shared.values import Row
from tests.rows import row
from tests.scenarios import (
    BSSID,
    OTHERS,
    SSID,
    STATIONS,
    ap_join,
    every,
    say,
    station_join,
    stranger,
    thrown_out,
)

TWIN = "0a:00:00:00:66:66"


def logins_without_join(at: float) -> list[Row]:
    """A flood whose sender acknowledges: made-up devices authenticate and never associate."""
    return [
        r
        for n, t in enumerate(every(at, 200, 0.5))
        for r in say("ap1", [t], f"wlan0: STA {stranger(n)} IEEE 802.11: authenticated")
    ]


def full_table(at: float) -> list[Row]:
    """Made-up devices fill the access point's table."""
    rows = []
    for n, t in enumerate(every(at, 120, 1)):
        rows += say("ap1", [t], f"wlan0: STA {stranger(n)} IEEE 802.11: authenticated")
        if n > 60:
            rows += say("ap1", [t + 0.1], f"wlan0: STA {stranger(n)} IEEE 802.11: No room for more AIDs")
    return rows


def refused_by_a_full_access_point(at: float) -> list[Row]:
    rejected = f"wlan0: CTRL-EVENT-ASSOC-REJECT bssid={BSSID['ap1']} status_code=17"
    return say("laptop", every(at, 14, 20), rejected)


def refused_by_firmware(at: float) -> list[Row]:
    rejected = "wlan0: CTRL-EVENT-ASSOC-REJECT bssid=00:00:00:00:00:00 status_code=16"
    return say("cam", every(at, 14, 20), f"wlan0: Trying to associate with SSID '{SSID}'", rejected)


def driver_takes_no_clients(at: float) -> list[Row]:
    """The access point's own clients are refused: its driver is at fault, nobody floods."""
    rows = []
    for k, mac in enumerate(OTHERS[:3]):
        for t in every(at + 3 * k, 12, 40):
            rows += say("ap1", [t], f"wlan0: STA {mac} IEEE 802.11: authenticated")
            rows += say("ap1", [t + 0.1], f"wlan0: STA {mac} IEEE 802.11: Could not add STA to kernel driver")
    return rows


def frames_not_sent(at: float) -> list[Row]:
    return say("ap1", every(at, 20, 20), "handle_probe_req: send failed")


def deaf_clients(at: float) -> list[Row]:
    """The access point's own clients do not hear its answers: a bad channel, not a flood."""
    rows = []
    for k, mac in enumerate(OTHERS):
        noack = f"wlan0: STA {mac} IEEE 802.11: did not acknowledge authentication response"
        rows += [*say("ap1", every(at + 2 * k, 8, 70), noack), *ap_join(at + 600 + k, mac, "ap1")]
    return rows


def restarted_again_and_again(at: float) -> list[Row]:
    """A supervisor stops and starts the daemon: each time with a goodbye."""
    stop = ["wlan0: interface state ENABLED->DISABLED", "wlan0: AP-DISABLED ", "wlan0: CTRL-EVENT-TERMINATING "]
    start = [
        "Configuration file: /etc/hostapd.conf",
        "wlan0: interface state UNINITIALIZED->ENABLED",
        "wlan0: AP-ENABLED",
    ]
    return [*say("ap1", every(at, 12, 60), *stop), *say("ap1", every(at + 5, 12, 60), *start)]


def open_twin(at: float) -> list[Row]:
    """Pushed off again and again, the laptop joins the twin, and nothing in the handshake is wrong."""
    rows = []
    for t in every(at, 6, 60):
        rows += [*thrown_out(t, "laptop", 7), *station_join(t + 1, "laptop", bssid=TWIN, freq=2462)]
    return rows


def enterprise_twin(at: float) -> list[Row]:
    bad = "wlan0: CTRL-EVENT-EAP-TLS-CERT-ERROR reason=1 depth=0 subject='/CN=radius' err='self-signed certificate'"
    lured = [r for t in every(at, 6, 40) for r in station_join(t, "laptop", bssid=TWIN, freq=2462)[:3]]
    return [
        *lured,
        *say("laptop", every(at + 1, 6, 40), bad, "wlan0: CTRL-EVENT-EAP-FAILURE EAP authentication failed"),
    ]


def contradicting_twin(at: float) -> list[Row]:
    differs = "wlan0: WPA: IE in 3/4 msg does not match with IE in Beacon/ProbeResp (src=06:00:00:00:0a:01)"
    return [*say("laptop", every(at, 5, 30), differs), *thrown_out(at + 2, "laptop", 17)]


def unsigned_beacons(at: float) -> list[Row]:
    return say("phone", every(at, 6, 20), f"wlan0: CTRL-EVENT-UNPROT-BEACON {BSSID['ap1']}")


def guessing_at_a_stock_debian(at: float) -> list[Row]:
    """Without the daemon's own events: joins that never end in a handshake, each sent away after four unanswered tries."""
    rows = []
    for n, t in enumerate(every(at, 30, 15)):
        mac = stranger(n % 7)
        begin = f"wlan0: STA {mac} IEEE 802.11: authenticated", f"wlan0: STA {mac} IEEE 802.11: associated (aid 2)"
        rows += say("ap1", [t], *begin)
        rows += say("ap1", [t + 5], f"wlan0: STA {mac} IEEE 802.11: deauthenticated due to local deauth request")
    return rows


def guessing_by_one_device(at: float) -> list[Row]:
    mac = stranger(9)
    begin = f"wlan0: STA {mac} IEEE 802.11: authenticated", f"wlan0: STA {mac} IEEE 802.11: associated (aid 2)"
    tries = every(at, 25, 20)
    wrong = [t + 0.1 + k for t in tries for k in range(4)]
    return [*say("ap1", tries, *begin), *say("ap1", wrong, f"wlan0: AP-STA-POSSIBLE-PSK-MISMATCH {mac}")]


def copied_address_with_a_wrong_password(at: float) -> list[Row]:
    mac = STATIONS["cam"]
    wrong = [t + k for t in every(at, 15, 30) for k in range(4)]
    good = [r for t in every(at + 10, 5, 90) for r in ap_join(t, mac, "ap1")]
    return [*say("ap1", wrong, f"wlan0: AP-STA-POSSIBLE-PSK-MISMATCH {mac}"), *good]


def login_server_gone(at: float) -> list[Row]:
    """The access point waits for its server, and its clients fail in turn."""
    rows = []
    for k, mac in enumerate(OTHERS):
        lost = f"wlan2: STA {mac} RADIUS: No response from Authentication server 192.0.2.5:1812 - failover"
        slow = f"wlan2: CTRL-EVENT-EAP-RETRANSMIT {mac}", f"wlan2: CTRL-EVENT-EAP-TIMEOUT-FAILURE {mac}"
        rows += [*say("ap2", every(at + 7 * k, 3, 90), lost), *say("ap2", every(at + 7 * k + 3, 3, 90), *slow)]
    return rows


def starts_of_logins(at: float) -> list[Row]:
    """Forged EAPOL-Start frames: the access point begins logins that nobody answers."""
    mac = OTHERS[1]
    return say("ap2", every(at, 150, 2), f"wlan2: CTRL-EVENT-EAP-STARTED {mac}",
               "wlan2: CTRL-EVENT-EAP-PROPOSED-METHOD vendor=0 method=1")  # fmt: skip


def disturbed_station(at: float) -> list[Row]:
    weaker = "wlan0: CTRL-EVENT-SIGNAL-CHANGE above=1 signal=-55 noise=9999 txrate=6000"
    return say("phone", every(at, 16, 30), "wlan0: CTRL-EVENT-BEACON-LOSS ", weaker)


def scans_that_fail(at: float) -> list[Row]:
    return say("phone", every(at, 30, 20), "wlan0: CTRL-EVENT-SCAN-FAILED ret=-110 retry=1")


def thrown_out_as_the_kernel_says(at: float) -> list[Row]:
    gone = f"wlan0: deauthenticated from {BSSID['ap1']} (Reason: 7=CLASS3_FRAME_FROM_NONASSOC_STA)"
    rows = [(*r[:3], "kernel", *r[4:]) for r in say("laptop", every(at, 15, 12), gone)]
    return [*rows, *(r for t in every(at + 2, 15, 12) for r in station_join(t, "laptop"))]


def channel_unrest(at: float) -> list[Row]:
    return say("ap1", every(at, 20, 40), "wlan0: ACS-STARTED ", "wlan0: ACS-COMPLETED freq=2462 channel=11")


def forged_channel_switches(at: float) -> list[Row]:
    begun = "wlan0: CTRL-EVENT-STARTED-CHANNEL-SWITCH freq=2484 ht_enabled=1 ch_offset=0 ch_width=20 MHz cf1=2484 cf2=0"
    return say("laptop", every(at, 20, 15), begun)


def manipulated_frames(at: float) -> list[Row]:
    return say(
        "ap1", every(at, 5, 30), f"wlan0: OCV-FAILURE addr={OTHERS[0]} frame=eapol-key-m2 error=channel-mismatch"
    )


def refused_addresses(at: float) -> list[Row]:
    return [
        row(t, f"DHCPNAK(wlan0) 192.0.2.{n} {OTHERS[n % 6]} wrong network", "ap1", "dnsmasq-dhcp")
        for n, t in enumerate(every(at, 40, 12))
    ]


def sae_flood(at: float) -> list[Row]:
    return [
        r
        for n, t in enumerate(every(at, 300, 0.3))
        for r in say("ap1", [t], f"wlan1: STA {stranger(n)} IEEE 802.11: did not acknowledge authentication response")
    ]


def forged_goodbyes_at_debug_level(at: float) -> list[Row]:
    mac = STATIONS["cam"]
    forged = f"wlan0: STA {mac} IEEE 802.11: deauthenticated"
    return [r for t in every(at, 30, 10) for r in [*say("ap1", [t], forged), *ap_join(t + 1, mac, "ap1")]]


def hung_and_back(at: float) -> list[Row]:
    waited = [f"wlan0: STA {mac} IEEE 802.11: did not acknowledge authentication response" for mac in OTHERS * 4]
    return [row(at + 0.001 * k, text) for k, text in enumerate(waited)]


def crowd(at: float) -> list[Row]:
    """A hall full of phones: 250 that roam between two access points, some asleep when they are answered."""
    rows = []
    for n in range(250):
        for visit, t in enumerate(every(at + 6 * n % 1500, 2 + n % 4, 200)):
            host = ("ap1", "ap2")[(n + visit) % 2]
            rows += ap_join(t, stranger(n), host)
            if n % 8 == 0:
                asleep = f"wlan0: STA {stranger(n)} IEEE 802.11: did not acknowledge authentication response"
                rows += say(host, [t - 1], asleep)
    return rows


RARE: list[tuple[Callable[[float], list[Row]], str, str]] = [
    (logins_without_join, "ap1", "auth_flood"),
    (full_table, "ap1", "auth_flood"),
    (refused_by_a_full_access_point, "laptop", "joins_refused"),
    (refused_by_firmware, "cam", "joins_refused"),
    (driver_takes_no_clients, "ap1", "driver_fault"),
    (frames_not_sent, "ap1", "driver_fault"),
    (deaf_clients, "ap1", "interference"),
    (restarted_again_and_again, "ap1", "ap_crash_loop"),
    (open_twin, "laptop", "evil_twin"),
    (enterprise_twin, "laptop", "evil_twin"),
    (contradicting_twin, "laptop", "evil_twin"),
    (unsigned_beacons, "phone", "evil_twin"),
    (guessing_by_one_device, "ap1", "psk_bruteforce"),
    (copied_address_with_a_wrong_password, "ap1", "mac_spoofing"),
    (login_server_gone, "ap2", "radius_outage"),
    (starts_of_logins, "ap2", "eapol_flood"),
    (disturbed_station, "phone", "interference"),
    (scans_that_fail, "phone", "driver_fault"),
    (thrown_out_as_the_kernel_says, "laptop", "deauth_flood"),
    (channel_unrest, "ap1", "channel_unrest"),
    (forged_channel_switches, "laptop", "channel_unrest"),
    (manipulated_frames, "ap1", "forged_frames"),
    (refused_addresses, "ap1", "dhcp_starvation"),
    (sae_flood, "ap1", "sae_flood"),
    (forged_goodbyes_at_debug_level, "ap1", "deauth_flood"),
]
