"""systemctl for a machine without systemd, in tests: it starts and stops what the installed units say, as the users they say.

Type=notify is kept: `restart` returns when the service has sent READY=1, and fails when it ends or stays silent.
"""

import grp
import os
import pwd
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

RUN = "/run/units"


def unit(name: str) -> dict[str, list[str]]:
    """The settings of a unit file."""
    found: dict[str, list[str]] = {}
    with open(f"/etc/systemd/system/{name}.service", encoding="utf-8") as file:
        for line in map(str.strip, file):
            if "=" in line and not line.startswith("#"):
                key, value = line.split("=", 1)
                found.setdefault(key, []).append(value)
    return found


def environment(settings: dict[str, list[str]]) -> dict[str, str]:
    """What the unit's process gets."""
    env = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", "LANG": "C.UTF-8"}
    for words in settings.get("Environment", []):
        env.update(word.split("=", 1) for word in shlex.split(words))  # type: ignore[misc]
    for path in settings.get("EnvironmentFile", []):
        with open(path.lstrip("-"), encoding="utf-8") as file:
            env.update(line.strip().split("=", 1) for line in file if "=" in line and not line.startswith("#"))  # type: ignore[misc]
    with open(f"{RUN}/environment", encoding="utf-8") as file:  # what this machine, which is shared, needs on top
        env.update(line.strip().split("=", 1) for line in file)  # type: ignore[misc]
    return env


def pid_of(name: str) -> int | None:
    """The unit's living main process."""
    try:
        pid = int(Path(f"{RUN}/{name}.pid").read_text("ascii"))
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return None if stat.read().rsplit(")", 1)[1].split()[0] == "Z" else pid
    except (OSError, ValueError):
        return None


def stop(name: str) -> None:
    """SIGTERM, and wait."""
    pid = pid_of(name)
    if pid is not None:
        os.kill(pid, signal.SIGTERM)
        for _ in range(200):
            if pid_of(name) is None:
                break
            time.sleep(0.05)
        else:
            os.kill(pid, signal.SIGKILL)


def start(name: str) -> bool:
    """Start, and wait for READY=1 where the unit notifies."""
    settings = unit(name)
    user = pwd.getpwnam(settings["User"][0])
    env = environment(settings)
    notify = f"{RUN}/{name}.notify"
    if os.path.exists(notify):
        os.unlink(notify)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(notify)
    os.chmod(notify, 0o777)  # noqa: S103  the service, another user, writes to it
    listener.settimeout(0.2)
    if settings["Type"][0] == "notify":
        env |= {"NOTIFY_SOCKET": notify, "WATCHDOG_USEC": str(int(settings["WatchdogSec"][0]) * 1_000_000)}
    with open(f"{RUN}/{name}.log", "ab") as log:
        child = subprocess.Popen(
            shlex.split(settings["ExecStart"][0]), env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
            user=user.pw_uid, group=grp.getgrnam(settings["Group"][0]).gr_gid, extra_groups=[], start_new_session=True,
            umask=int(settings["UMask"][0], 8),
        )  # fmt: skip
    with open(f"{RUN}/{name}.pid", "w", encoding="ascii") as file:
        file.write(str(child.pid))
    if settings["Type"][0] != "notify":
        return child.poll() is None
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and child.poll() is None:
        try:
            if b"READY=1" in listener.recv(4096):
                return True
        except TimeoutError:
            continue
    return False


def main(words: list[str]) -> int:
    """The few verbs that the installer uses."""
    os.makedirs(RUN, exist_ok=True)
    with open(f"{RUN}/asked", "a", encoding="utf-8") as file:
        file.write(" ".join(words) + "\n")
    verb, *rest = [word for word in words if not word.startswith("-")]
    if verb == "reload":
        os.kill(int(Path("/run/sshd.pid").read_text("ascii")), signal.SIGHUP)
    if verb == "is-active":
        return 0 if all(pid_of(name) for name in rest) else 3
    if verb in ("restart", "disable", "stop"):
        for name in rest:
            stop(name)
    if verb in ("restart", "start"):
        return 0 if all(start(name) for name in rest) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
