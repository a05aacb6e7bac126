"""A throw-away Raspberry Pi: this machine's own root folder under an overlay, with its users, services and sshd, all of it
in namespaces of its own. Whatever is installed, written or started there is gone when it is closed.

systemd itself does not run in there; `systemctl` is a small stand-in that starts the units' real commands as their real users.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.services import MissingPartError, Part, Server, free_port, may
from tests.sshd_server import make_key

OVERLAY = """\
set -e
mount -t tmpfs -o mode=755,size=2g none "$1/over"
cd "$1/over"
mkdir upper work root
mount -t overlay overlay -o lowerdir=/,upperdir=upper,workdir=work root
mount --rbind /dev root/dev
mount -t proc proc root/proc
for place in run tmp srv; do mount -t tmpfs -o mode=755 none root/$place; done
chmod 1777 root/tmp
mkdir -m 755 root/run/sshd root/run/units
echo "INFERENCE_BIND=127.0.0.1:$4" > root/run/units/environment
mkdir -p -m 700 root/root/.ssh
install -m 600 "$1/authorized_keys" root/root/.ssh/authorized_keys
install -m 600 "$1/host_key" root/etc/ssh/ssh_host_ed25519_key
install -m 644 "$1/host_key.pub" root/etc/ssh/ssh_host_ed25519_key.pub
install -m 755 "$1/systemctl" root/usr/local/bin/systemctl
[ -e root/usr/bin/sudo ] || printf '#!/bin/sh\nexec "$@"\n' > root/usr/local/bin/sudo
chmod 755 root/usr/local/bin/sudo 2>/dev/null || true
for user in pipit pi-models; do chroot root userdel $user 2>/dev/null || true; done
rm -rf root/opt/pipit root/etc/pipit root/var/lib/pipit
echo $$ > "$1/pid"
exec chroot root "$2" -D -e -p "$3" -o ListenAddress=127.0.0.1 \\
  -o PermitRootLogin=prohibit-password -o MaxStartups=100 -o UsePAM=no \\
  -o PidFile=/run/sshd.pid -o HostKey=/etc/ssh/ssh_host_ed25519_key -o PerSourcePenalties=no
"""


class PiRoot(Server):
    """The overlay with its sshd; `options` is the way in."""

    name = "pi"

    def __init__(self, sshd: Part) -> None:
        if os.geteuid() != 0 or not may(
            "unshare", "--mount", "--pid", "--fork", "mount", "-t", "tmpfs", "none", "/run"
        ):
            raise MissingPartError("pi: a root folder of its own needs root and mount namespaces")
        super().__init__(sshd)
        (self.folder / "over").mkdir()
        self.pages = free_port()  # it shares this machine's network, where something may sit on 8000
        self.identity, self.known_hosts = self.folder / "identity", self.folder / "known_hosts"
        (self.folder / "authorized_keys").write_text(make_key(self.identity) + "\n")
        host_key = make_key(self.folder / "host_key")
        (self.folder / "host_key.pub").write_text(host_key + "\n")
        self.known_hosts.write_text(f"[{self.host}]:{self.port} {host_key}\n")
        stand_in = (Path(__file__).parent / "systemctl_stand_in.py").read_text()
        (self.folder / "systemctl").write_text(f"#!/usr/bin/python3\n{stand_in}")

    @property
    def options(self) -> str:
        """For ssh, as one text."""
        return f"-p {self.port} -i {self.identity} -o UserKnownHostsFile={self.known_hosts}"

    def command(self) -> list[str]:
        """sshd in the overlay, first of its own processes: they all end with it."""
        old = "PerSourcePenalties" if int(self.part.version.split(".")[0]) >= 10 else None
        script = OVERLAY if old else OVERLAY.replace(" -o PerSourcePenalties=no", "")
        namespaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
        return [
            *namespaces,
            "bash",
            "-c",
            script,
            "pi",
            str(self.folder),
            str(self.part.program),
            str(self.port),
            str(self.pages),
        ]

    def run(self, command: str) -> str:
        """What a command says on the Pi, as root."""
        line = ["ssh", "-o", "BatchMode=yes", *self.options.split(), f"root@{self.host}", command]
        done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def deploy(self, script: str, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """Run deploy/<script> against this Pi as a person would."""
        project = Path(__file__).resolve().parent.parent
        given = {**os.environ, "SSH_OPTIONS": self.options, "BIN": f"{sys.prefix}/bin", **env}
        line = [str(project / "deploy" / script), f"root@{self.host}"]
        return subprocess.run(line, env=given, capture_output=True, text=True, check=False, timeout=280)
