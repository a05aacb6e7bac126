"""Makes the log of docs/agents.md: two small routers' DHCP servers, in the words of dnsmasq, seven calm days and one that is not.

Nothing in it was recorded; the same seed writes the same rows. `python make_dhcp_log.py` writes both files beside itself.
"""

from __future__ import annotations

import gzip
import io
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).parent
BEGIN = datetime(2026, 3, 2, tzinfo=UTC).timestamp()  # a Monday
DAY_S, LEASE_S = 86_400, 7_200
WEEK_DAYS = 7
SERVERS = {"gw-office": 14, "gw-shop": 9}  # router -> devices

Line = tuple[float, str, int, str]  # time, host, severity, message


class Server:
    """One router's DHCP server and its devices."""

    def __init__(self, host: str, number: int, devices: int, seed: str) -> None:
        self.host, self.net, self.chance = host, f"192.168.{number}", random.Random(seed)
        self.devices = {
            f"00:00:5e:00:53:{64 * number + n:02x}": (n + 20, f"device-{number}{n:02d}") for n in range(devices)
        }

    def ordinary(self, start: float, days: int) -> Iterator[Line]:
        """Devices join in the morning, renew half-way through their leases, and mostly leave without a word."""
        for day in range(days):
            for mac in self.devices:
                always = self.devices[mac][0] % 4 == 0  # a printer or a server stays
                time = start + day * DAY_S + (0 if always else self.chance.gauss(8.5, 1) * 3600)
                leave = start + day * DAY_S + (DAY_S if always else self.chance.gauss(18, 1.5) * 3600)
                yield from self.join(time, mac)
                while (time := time + LEASE_S / 2 * self.chance.uniform(0.9, 1.0)) < leave:
                    yield from self.renew(time, mac)
                if self.chance.random() < 0.3:
                    yield leave, self.host, 6, f"DHCPRELEASE(br-lan) {self.address(mac)} {mac} "

    def address(self, mac: str) -> str:
        return f"{self.net}.{self.devices[mac][0]}"

    def join(self, time: float, mac: str) -> Iterator[Line]:
        """The four messages of a new lease."""
        if self.chance.random() < 0.05:  # it comes from another network and asks for its address there
            yield time - 1, self.host, 6, f"DHCPREQUEST(br-lan) 10.0.0.{self.devices[mac][0]} {mac} "
            yield time - 1, self.host, 6, f"DHCPNAK(br-lan) 10.0.0.{self.devices[mac][0]} {mac} wrong network"
        yield time, self.host, 6, f"DHCPDISCOVER(br-lan) {mac} "
        yield time + 0.01, self.host, 6, f"DHCPOFFER(br-lan) {self.address(mac)} {mac} "
        yield from self.renew(time + 0.02, mac)

    def renew(self, time: float, mac: str) -> Iterator[Line]:
        yield time, self.host, 6, f"DHCPREQUEST(br-lan) {self.address(mac)} {mac} "
        yield time + 0.01, self.host, 6, f"DHCPACK(br-lan) {self.address(mac)} {mac} {self.devices[mac][1]}"

    def starved(self, time: float, requests: int) -> Iterator[Line]:
        """Made-up devices ask for all addresses; then there are none."""
        for n in range(requests):
            time += self.chance.expovariate(1.5)
            mac = "02:" + ":".join(f"{self.chance.randrange(256):02x}" for _ in range(5))
            if n < 80:
                yield time, self.host, 6, f"DHCPDISCOVER(br-lan) {mac} "
                yield time + 0.01, self.host, 6, f"DHCPOFFER(br-lan) {self.net}.{100 + n} {mac} "
            else:
                yield time, self.host, 6, f"DHCPDISCOVER(br-lan) {mac} no address available"

    def quarrel(self, time: float, mac: str, rounds: int) -> Iterator[Line]:
        """A second DHCP server on the network hands out addresses that this one refuses."""
        for n in range(rounds):
            time += self.chance.uniform(15, 40)
            foreign = f"192.168.88.{n % 50 + 2}"
            yield time, self.host, 6, f"DHCPREQUEST(br-lan) {foreign} {mac} "
            yield time, self.host, 6, f"DHCPNAK(br-lan) {foreign} {mac} wrong network"


def servers(seed: str) -> list[Server]:
    return [Server(host, n, devices, f"{seed} {host}") for n, (host, devices) in enumerate(SERVERS.items(), 1)]


def week() -> list[Line]:
    """Seven calm days of both."""
    return sorted(line for server in servers("week") for line in server.ordinary(BEGIN, WEEK_DAYS))


def odd_day() -> list[Line]:
    """A day with a starved server, a second server on the network, and one that hangs from 21:00 on."""
    office, shop = servers("odd day")
    start = BEGIN + WEEK_DAYS * DAY_S
    lines = [*office.ordinary(start, 1), *shop.ordinary(start, 1)]
    lines += office.starved(start + 10 * 3600, 400)
    lines += shop.quarrel(start + 15 * 3600, next(iter(shop.devices)), 60)
    return sorted(line for line in lines if line[1] != "gw-office" or line[0] < start + 21 * 3600)


def as_csv(lines: list[Line]) -> str:
    """The rows as an export has them."""
    out = io.StringIO()
    out.write("id,timestamp,host,program,pid,severity,message\n")
    for number, (time, host, severity, message) in enumerate(lines, 1):
        moment = datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
        out.write(f"{number},{moment}Z,{host},dnsmasq-dhcp,842,{'info' if severity == 6 else 'warning'},{message}\n")
    return out.getvalue()


FILES = {"dhcp-week.csv.gz": week, "dhcp-day.csv.gz": odd_day}

if __name__ == "__main__":
    for name, lines in FILES.items():
        (HERE / name).write_bytes(gzip.compress(as_csv(lines()).encode(), 9, mtime=0))
