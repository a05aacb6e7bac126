"""A fleet of two, a model that is no good, and a canary that goes back by itself: `python -m examples.canary`.

Everything is real but place and time: two daemons on this machine with inboxes behind one OpenSSH server, whose clocks run
600 times as fast, so that nobody waits an hour for the windows of a probation. What it prints is kept in
docs/recordings/canary.txt.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from examples.stage import HERE, PROJECT, DemoError, Program, feed_logs, laptop, pi, sftp_server
from inference.sqlite_source import create_table
from shared import bundle, layout
from tests.services import dies_with_parent
from tests.sshd_server import SshdServer
from trainer.fitting.promise import with_promise
from trainer.keys import ensure_key
from trainer.registry import publish
from trainer.targets import connect, parse_target

NAMES = ("attic", "barn")
SPEED = 600.0
FAST = """
import sys, time
real, begin = time.time, float(sys.argv[1])
time.time = lambda: begin + (real() - begin) * float(sys.argv[2])
from inference import run
sys.exit(run.main([]))
"""


def main() -> int:
    """Play it; 0 when the canary came back and the other was never touched."""
    folder = Path(tempfile.mkdtemp(prefix="pipit-canary-", dir="/var/tmp"))
    folder.chmod(0o755)
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        (folder / "sftp").mkdir()
        server = sftp_server(folder / "sftp")
        stack.callback(server.close)
        server.start()
        trainer = laptop(folder / "laptop")
        pis = introduce(trainer, server, folder)
        for each in pis.values():
            stack.callback(each.close)
        return play(trainer, pis, folder)


def play(trainer: Program, pis: dict[str, Program], folder: Path) -> int:
    """What a person types, and what comes of it."""
    first = trainer.run("train", str(HERE / "wifi-train.csv.gz"), "--json")["version"]
    begin = time.time()
    feed_logs(HERE / "wifi-live.csv.gz", folder / "all.db", begin + 22 * 3600)
    for each in pis.values():
        start_fast(each, begin)
        threading.Thread(target=feed, args=(each, folder / "all.db", begin), daemon=True).start()
    say(f"# python -m examples.canary: two Pis whose clocks run {SPEED:g} times as fast; at the left, real seconds.")
    typed("pipit-trainer ship latest --fleet home")
    told = ship(trainer, first)
    if [state for _, state in told] != ["good", "good"]:
        raise DemoError(f"the first version should be good everywhere: {told}")
    say("\n# The next one promises to get by with 20 MB of memory, and does not.")
    second = boast(Path(trainer.settings["TRAINING_MODELS_DIR"]), Path(trainer.settings["TRAINING_STATE_DIR"]), first)
    typed("pipit-trainer ship latest --fleet home")
    told = ship(trainer, second)
    typed("pipit-inference status", "attic")
    say(pis["attic"].run("status"))
    typed("pipit-inference models history --limit 3", "attic")
    say(pis["attic"].run("models", "history", "--limit", "3"))
    typed("pipit-inference models list", "barn")
    say(pis["barn"].run("models", "list"))
    serving = {
        name: [row["version"] for row in each.run("models", "list", "--json") if row["active"]]
        for name, each in pis.items()
    }
    return 0 if serving == {"attic": [first], "barn": [first]} and [s for _, s in told] == ["failed", "skipped"] else 1


def boast(models: Path, state_dir: Path, version: str) -> str:
    """The same model as another version, with a promise that it cannot keep; its name."""
    raw = dict(bundle.open_bundle(layout.bundle_folder(models, "wifi", version)))
    files = {name: raw[name] for name in bundle.FILES}
    files["reference.json"] = with_promise(files["reference.json"], {"memory_mb_max": 20.0})
    name = layout.version_at(time.time())
    publish(models, files, agent="wifi", version=name, key=ensure_key(state_dir), state_dir=state_dir, now=time.time)
    return name


def introduce(trainer: Program, server: SshdServer, folder: Path) -> dict[str, Program]:
    """Two Pis with an inbox each, known to the trainer as the fleet `home`, and trusting its key."""
    line = trainer.run("keys", "show", "--json")["allowed_signers"]
    login = ["--identity", str(server.identity), "--known-hosts", str(server.known_hosts)]
    setup = connect(parse_target("server", server.url, server.identity, server.known_hosts))
    pis = {}
    for name in NAMES:
        for path in (name, f"{name}/inbox", f"{name}/receipts"):
            setup.make_folder(path)
        pis[name] = pi(folder / name, server.inbox / name / "inbox")
        pis[name].settings = {**pis[name].settings, "INFERENCE_INTERVAL_S": "0.3", "INFERENCE_AUDIENCE": name}
        (pis[name].folder / "state" / "allowed_signers").write_text(line + "\n")
        trainer.run("targets", "add", name, f"{server.url}/{name}/inbox", *login, "--group", "home")
    setup.close()
    return pis


def start_fast(watcher: Program, begin: float) -> None:
    """The daemon, in a process whose clock runs faster."""
    command = [*dies_with_parent(), sys.executable, "-c", FAST, str(begin), str(SPEED)]
    with watcher.log("run").open("ab") as log:
        watcher.children["run"] = subprocess.Popen(command, env=watcher._env(), cwd=PROJECT, stdout=log, stderr=log)


def feed(watcher: Program, source: Path, begin: float) -> None:
    """Put each row into the Pi's own store when its time has come by the fast clock."""
    store = watcher.folder / "state" / "logs.db"
    create_table(store)
    names, done = "timestamp, host, program, pid, severity, message", 0.0
    with contextlib.closing(sqlite3.connect(store)) as db:
        db.execute("ATTACH ? AS source", (str(source),))
        while (now := begin + (time.time() - begin) * SPEED) < begin + 24 * 3600:
            with db:
                db.execute(
                    f"INSERT INTO main.log_entries ({names}) SELECT {names} FROM source.log_entries"
                    " WHERE timestamp > ? AND timestamp <= ? ORDER BY id",
                    (done, now),
                )
            done = now
            time.sleep(0.1)


def ship(trainer: Program, version: str) -> list[tuple[str, str]]:
    """Roll out, say every line as it comes, and do something once the canary serves."""
    began = time.monotonic()
    results: list[tuple[str, str]] = []
    line = [sys.executable, "-m", "trainer", "ship", version, "--fleet", "home", "--timeout", "120"]
    child = subprocess.Popen(line, env=trainer._env(), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stderr is not None
    for text in child.stderr:
        say(f"{time.monotonic() - began:5.1f} s  {text.rstrip()}")
        name, _, state = text.partition(": ")
        if name in NAMES and state.split(" ")[0].strip() in ("good", "failed", "skipped"):
            results.append((name, state.split(" ")[0].strip()))
    say(f"exit code {child.wait()}")
    return results


def typed(command: str, where: str = "laptop") -> None:
    """What somebody types."""
    say(f"\n{where}$ {command}")


def say(text: str) -> None:
    """A line of the recording."""
    print(text.rstrip("\n"), flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except DemoError as error:
        print(json.dumps(str(error)), file=sys.stderr)
        sys.exit(1)
