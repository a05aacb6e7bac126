"""`make demo`: from a bare machine to attacks named on a page. It types what a person would type, and tells the story.

The laptop and the Pi are two folders below .demo with processes of their own; between them is real SFTP. Nothing
outside this project is touched. ONCE=1 ends after the summary, otherwise both pages stay up until Ctrl-C.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import sys
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from examples.stage import HERE, PROJECT, DemoError, Feed, Program, feed_logs, laptop, pi, seconds, sftp_server
from inference.keeping import reading as state_read
from shared import layout
from shared.bundle import canonical
from shared.clean import clean
from shared.values import iso
from tests.sshd_server import SshdServer


def main(folder: Path) -> int:
    """Run the story in a folder of its own; 0 when every step came out as it should."""
    began = time.monotonic()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends like Ctrl-C
    shutil.rmtree(folder, ignore_errors=True)
    with contextlib.ExitStack() as stack:
        try:
            server = sftp_server(_made(folder / "sftp"))
            stack.callback(server.close)
            server.start()
            trainer = laptop(folder / "laptop")
            watcher = pi(folder / "pi", server.inbox)
            stack.callback(trainer.close)
            stack.callback(watcher.close)
            found, feed = tell_story(trainer, watcher, server)
            show_pages(trainer, watcher)
            table(found, feed)
            print(f"{'':14}That took {time.monotonic() - began:.0f} s.")
            if os.environ.get("ONCE", "") in {"", "0"}:
                print("Both stay up until Ctrl-C.")
                threading.Event().wait()
        except DemoError as error:
            print(f"\nThe demo stopped: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print()
    return 0


def tell_story(trainer: Program, watcher: Program, server: SshdServer) -> tuple[list[state_read.IncidentRow], Feed]:
    """The path of a model and of the logs, step by step."""
    first = train(trainer)
    introduce(trainer, watcher, server)
    feed = feed_logs(HERE / "wifi-live.csv.gz", watcher.folder / "state" / "logs.db", time.time())
    say("fed", f"the Pi's store has {feed.rows:,} log rows of {feed.hosts} hosts, 22 hours that end now")
    watcher.start("run")
    how = "OpenSSH" if server.name == "sshd" else "the SFTP server of a package"
    shipped = trainer.run("ship", first, "--to", "pi", "--wait", "--json")
    expect_serving(watcher, first)
    say("shipped", f"{shipped['size_bytes'] / 1e6:.1f} MB over SFTP ({how} {server.part.version})")
    say("serving", f"the Pi checked the signature, tried the model and serves {shipped['version']}")
    found = show_attack(watcher, feed)
    refuse_forgery(watcher, server, first)
    second = train(trainer, "--set", "model.random_state=7")
    trainer.run("ship", second, "--to", "pi", "--wait", "--json")
    expect_serving(watcher, second)
    say("shipped", f"{second} serves now, swapped in between two cycles of the same process")
    back = trainer.run("rollback", "--to", "pi", "--wait", "--json")
    expect_serving(watcher, back["version"])
    say("rolled back", f"{back['version']} serves: the files of {first} under a fresh signature")
    return found, feed


def expect_serving(watcher: Program, version: str) -> None:
    """Ask the Pi itself which version serves."""
    serving = [row["version"] for row in watcher.run("models", "list", "--json") if row["active"]]
    if serving != [version]:
        raise DemoError(f"{version} should serve, but the Pi says {serving}")


def train(trainer: Program, *more: str) -> str:
    """A new version, signed."""
    began = time.monotonic()
    told = trainer.run("train", str(HERE / "wifi-train.csv.gz"), *more, "--json")
    took, facts = time.monotonic() - began, told["metadata"]
    learnt = f"{facts['training_log_count']:,} rows of seven quiet days, {facts['windows']['total']:,} windows"
    say("trained", f"{told['version']} from {learnt}, in {took:.0f} s")
    say("signed", f"with the laptop's key {told['signed_with'][:22]}…")
    return str(told["version"])


def introduce(trainer: Program, watcher: Program, server: SshdServer) -> None:
    """The Pi learns whose signatures to trust, the laptop where the Pi is and which host key it has."""
    key = trainer.run("keys", "show", "--json")
    (watcher.folder / "state" / "allowed_signers").write_text(key["allowed_signers"] + "\n")
    login = ["--identity", str(server.identity), "--known-hosts", str(server.known_hosts)]
    trainer.run("targets", "add", "pi", server.url, *login)


def show_attack(watcher: Program, feed: Feed) -> list[state_read.IncidentRow]:
    """Wait until the last window is judged, then tell one attack with its log lines; returns all incidents."""
    state = watcher.folder / "state" / "state.db"

    def judged() -> bool:
        with contextlib.closing(state_read.connect_read(state)) as db:
            return bool(state_read.verdicts(db, start=feed.end - 301, limit=1))

    watcher.wait_for(judged, "verdicts of the last window")
    with contextlib.closing(state_read.connect_read(state)) as db:
        totals, found = state_read.totals(db), state_read.incidents(db)
        brute_force = next((each for each in found if each.type == "psk_bruteforce"), None)
        if brute_force is None:
            raise DemoError("nobody named the password guessing (psk_bruteforce) in the log")
        detail = state_read.incident(db, brute_force.id)
    say("judged", f"{totals.windows:,} windows, {totals.anomalies} of them strange, {len(found)} incidents")
    say("named", f"{brute_force.type} on {brute_force.host} ({brute_force.severity}): {clean(brute_force.description)}")
    for line in (detail.verdicts[0].lines if detail else ())[:3]:
        print(f"{'':14}{iso(line.time)[11:19]}  {line.program}: {clean(line.message, 90)}")
    return found


def table(found: list[state_read.IncidentRow], feed: Feed) -> None:
    """All incidents beside what was really done in these 22 hours."""
    episodes = json.loads((HERE / "episodes.json").read_text())
    print(f"\n{'':14}{'begins (UTC)':<14}{'host':<14}{'named':<20}{'severity':<10}{'what was done'}")
    for each in reversed(found):
        done = [episode for episode in episodes if _overlaps(each, episode, feed.shift_s)]
        words = ", ".join(sorted({episode["type"] for episode in done})) or "nothing: a false alarm"
        row = f"{iso(each.started)[11:16]:<14}{clean(each.host, 12):<14}{each.type:<20}{each.severity:<10}{words}"
        print(f"{'':14}{row}")
    visible = [episode for episode in episodes if episode["visible_auto"]]
    hits = [[each.type for each in found if _overlaps(each, episode, feed.shift_s)] for episode in visible]
    named = sum(episode["type"] in types for episode, types in zip(visible, hits, strict=True))
    print(
        f"\n{'':14}{sum(map(bool, hits))} of {len(visible)} attacks found, {named} called by their name; "
        f"{len(episodes) - len(visible)} more left no line in any log"
    )


def refuse_forgery(watcher: Program, server: SshdServer, version: str) -> None:
    """Somebody with the SFTP login changes one byte of the model and mends all the hashes; he cannot sign."""
    forged = layout.version_at(time.time() + 86_400)  # newer than anything that the demo trains
    folder = server.inbox / "wifi" / forged
    shutil.copytree(server.inbox / "wifi" / version, folder)
    scorer = bytearray((folder / "scorer.npz").read_bytes())
    scorer[len(scorer) // 2] ^= 1
    (folder / "scorer.npz").write_bytes(scorer)
    manifest = json.loads((folder / "MANIFEST.json").read_text())
    _mend(manifest, forged, bytes(scorer))
    (folder / "MANIFEST.json").write_bytes(canonical(manifest))
    link = server.inbox / "wifi" / "active.forged"
    link.symlink_to(forged)
    link.replace(server.inbox / "wifi" / "active")
    receipt = server.receipts / layout.receipt_names("wifi", forged)[1]
    told = watcher.wait_for(lambda: json.loads(receipt.read_text()), "the receipt of the forged bundle")
    if told["state"] != "refused" or told["previous"] not in (None, version):
        raise DemoError(f"the forged bundle was not refused: {told}")
    say("refused", f"a bundle that was tampered with ({told['code']}): {clean(told['reason'], 110)}")
    expect_serving(watcher, version)
    say("unharmed", f"{version} goes on serving")


def show_pages(trainer: Program, watcher: Program) -> None:
    """Start both pages and say where they are."""
    trainer.start("serve")
    watcher.start("web")
    for program, command, setting in ((trainer, "serve", "TRAINING_BIND"), (watcher, "web", "INFERENCE_BIND")):
        address = program.settings[setting]
        program.wait_for(partial(_answers, address), f"the page on {address}")
        say("page", f"{program.name:<16} http://{address}/{_token(program.log(command))}")


def say(step: str, words: str) -> None:
    """One line of the story."""
    shown = f"\033[1;32m{step:>12}\033[0m" if sys.stdout.isatty() else f"{step:>12}"
    print(f"{shown}  {words}", flush=True)


def _mend(manifest: dict[str, Any], version: str, scorer: bytes) -> None:
    manifest["version"] = version
    manifest["serial"] += 1
    manifest["files"]["scorer.npz"]["sha256"] = hashlib.sha256(scorer).hexdigest()


def _overlaps(found: state_read.IncidentRow, episode: dict[str, Any], shift_s: float) -> bool:
    start, end = (seconds(episode[name]) + shift_s for name in ("start", "end"))
    return found.host in {episode["host"], *episode["affected_hosts"]} and (
        found.started <= end + 60 and found.ended >= start
    )


def _answers(address: str) -> bool:
    with urlopen(f"http://{address}/api/v1/health", timeout=2) as answer:  # an address of our own
        return bool(answer.status == 200)


def _token(log: Path) -> str:
    """The one-time token with which the password is set, as the service logged it; empty where it did not."""
    found = re.search(r"token=(\S+)", log.read_text())
    return f"  (one-time token {found.group(1)})" if found else ""


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else PROJECT / ".demo"))
