"""Rows of `make bench` about shipping: publish to serving, a transfer beside OpenSSH's own client, fifty Pis, the swap."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rich.table import Table

from inference.models import ModelSlot, Serving
from shared import layout
from tests.daemon_process import environment
from tests.fakes import Pi, Workshop
from tests.services import MissingPartError, running, wait_until
from tests.sshd_server import SshdServer, find_sshd
from trainer.ship import Wait, ship_to
from trainer.targets import connect, parse_target

ROUNDS = 5
FLEET = 50
TWO_MB = 1_340_000  # of model.joblib; with half as much in the scorer a bundle of 2 MB
ROOT = Path(__file__).resolve().parent.parent


def shipping(table: Table) -> None:
    """All rows; without an OpenSSH server on this machine there are none."""
    try:
        part = find_sshd()
    except MissingPartError as missing:
        table.add_row("shipping", "not measured", str(missing), "")
        return
    with tempfile.TemporaryDirectory(prefix="pipit-bench-", dir="/var/tmp") as folder:
        root = Path(folder)
        root.chmod(0o755)
        with running(SshdServer(part)) as server:
            transfer(root / "transfer", server, table)
        with running(SshdServer(part)) as server:
            fifty(root / "fleet", server, table)
        with running(SshdServer(part)) as server:
            publish_to_serving(root / "live", server, table)
        swap(table)


def transfer(root: Path, server: SshdServer, table: Table) -> None:
    """A 2 MB bundle by us, with all its fsyncs and read-backs, and the same files by `sftp -b`; they take turns."""
    workshop = Workshop(root)
    target = parse_target("bench", server.url, server.identity, server.known_hosts)
    ours, bare, peers = [], [], []
    for number in range(ROUNDS):
        version = layout.version_at(1_760_000_000 + number)
        signed = workshop.make(version, size=TWO_MB)
        ours.append(_timed(lambda s=signed: ship_to(s, target)))
        bare.append(_timed(lambda s=signed, n=number: _put_only(server, s.raw, f"bare{n}")))
        peers.append(_timed(lambda v=version, n=number: _sftp_batch(server, workshop.models / "wifi" / v, f"peer{n}")))
    size = sum(path.stat().st_size for path in (workshop.models / "wifi" / version).iterdir()) / 1e6
    us, put, peer = (statistics.median(times) for times in (ours, bare, peers))
    table.add_row(
        f"transfer of {size:.1f} MB", f"{put:.2f} s", f"sftp -b {peer:.2f} s: {peer / put:.1f} ×", "without fsync"
    )
    table.add_row("  with the whole protocol", f"{us:.2f} s", "", "fsyncs, checks, link swap, log-in")


def _put_only(server: SshdServer, raw: Any, name: str) -> None:
    target = parse_target("bench", server.url, server.identity, server.known_hosts)
    remote: Any = connect(target)
    remote.can_sync = False
    remote.make_folder(name)
    for file, data in raw.items():
        remote.write_new(f"{name}/{file}", data)
    remote.close()


def _sftp_batch(server: SshdServer, folder: Path, name: str) -> None:
    batch = "\n".join([f"mkdir inbox/{name}", *(f"put {path} inbox/{name}/{path.name}" for path in folder.iterdir())])
    options = [f"UserKnownHostsFile={server.known_hosts}", "BatchMode=yes", "IdentitiesOnly=yes"]
    command = ["sftp", "-q", "-b", "-", "-P", str(server.port), "-i", str(server.identity)]
    command += [word for option in options for word in ("-o", option)]
    subprocess.run([*command, f"{server.user}@{server.host}"], input=batch, text=True, check=True, capture_output=True)


def fifty(root: Path, server: SshdServer, table: Table) -> None:
    """One version to 50 inboxes behind one server, sixteen at a time, each with a Pi that verifies, tries and serves."""
    workshop = Workshop(root)
    login = parse_target("bench", server.url, server.identity, server.known_hosts)
    setup = connect(login)
    targets, pis = [], []
    for number in range(FLEET):
        name = f"pi{number:02}"
        for path in (name, f"{name}/inbox", f"{name}/receipts"):
            setup.make_folder(path)
        url = f"{server.url}/{name}/inbox"
        targets.append(parse_target(name, url, server.identity, server.known_hosts))
        pis.append(Pi(root / name, workshop.allowed, inbox=server.inbox / name / "inbox", machine=name))
    setup.close()
    signed, stop = workshop.make(size=TWO_MB), threading.Event()

    def reconcile() -> None:
        while not stop.wait(0.05):
            for pi in pis:
                pi.reconcile()

    thread = threading.Thread(target=reconcile, daemon=True)
    thread.start()
    began = time.monotonic()
    with ThreadPoolExecutor(16) as pool:
        done = list(pool.map(lambda target: ship_to(signed, target, Wait("loaded", 120)), targets))
    seconds = time.monotonic() - began
    stop.set()
    thread.join(30)
    assert all(shipped.state == "loaded" for shipped in done)
    table.add_row(f"{FLEET} targets", f"{seconds:.0f} s", "", "≤ 60 s; 2 MB of a made-up model each, until all serve")


def publish_to_serving(root: Path, server: SshdServer, table: Table) -> None:
    """From the command's start of the upload to the daemon's receipt, a real model, a real daemon, the real watcher."""
    from tests.daemon_process import train
    from trainer.keys import ensure_key
    from trainer.registry import sign_anew
    from trainer.ship import load_signed

    root.mkdir()
    trained = train(root)
    key = ensure_key(root / "trainer")
    settings = {
        "INFERENCE_STATE_DIR": root / "pi", "INFERENCE_INBOX": server.inbox,
        "INFERENCE_ALLOWED_SIGNERS": trained.allowed_signers,
    }  # fmt: skip
    (root / "pi").mkdir()
    log = root / "daemon.log"
    with log.open("wb") as out:
        daemon = subprocess.Popen(
            [sys.executable, "-m", "inference", "run"], cwd=ROOT, env=environment(**settings), stdout=out, stderr=out
        )
    try:
        wait_until(lambda: "daemon started" in log.read_text(), "the daemon", 60)
        target, times = parse_target("bench", server.url, server.identity, server.known_hosts), []
        version = trained.bundle.name
        for _ in range(ROUNDS):
            signed = load_signed(trained.models, "wifi", version, key)
            times.append(_timed(lambda s=signed: ship_to(s, target, Wait("loaded", 60, 0.05))))
            name = sign_anew(
                trained.models, "wifi", version, key=key, state_dir=root / "trainer", now=time.time
            ).version
            version = name
        receipt = json.loads((server.receipts / "wifi.json").read_text())
    finally:
        daemon.terminate()
        daemon.wait(30)
    assert receipt["state"] in ("loaded", "good"), receipt
    table.add_row(
        "publish → serving", f"{statistics.median(times):.2f} s", f"slowest {max(times):.2f} s", "≤ 2 s on loopback"
    )


def swap(table: Table) -> None:
    """How long a reader of the slot may be held up by a swap: the longest of 2,000 reads while another thread swaps."""
    slot, stop = ModelSlot(), threading.Event()
    model: Any = None
    made = [Serving("wifi", f"v{n}", n, "", model, 0.0) for n in range(2)]
    slot.put(made[0])

    def keep_swapping() -> None:
        while not stop.is_set():
            slot.put(made[slot.changes % 2])

    thread = threading.Thread(target=keep_swapping, daemon=True)
    took = []
    for _ in range(2000):
        began = time.perf_counter()
        slot.put(made[slot.changes % 2])
        assert slot.get("wifi") is not None
        took.append((time.perf_counter() - began) * 1e3)
    thread.start()
    reads = 0
    deadline = time.monotonic() + 0.5
    while time.monotonic() < deadline:
        assert slot.get("wifi") is not None
        reads += 1
    stop.set()
    thread.join()
    worst, middle = max(took), statistics.median(took)
    table.add_row(
        "swap of a model",
        f"{middle * 1e3:.1f} µs",
        f"longest of 2,000: {worst:.3f} ms",
        f"≤ 1 ms; {reads:,} reads beside swaps, none empty",
    )


def _timed(work: Any) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


if __name__ == "__main__":
    from rich.console import Console

    rows = Table()
    for heading in ("what", "figure", "beside", "note"):
        rows.add_column(heading)
    shipping(rows)
    Console(width=150).print(rows)
