"""A real OpenSSH server that offers an inbox over SFTP, laid out as on a Pi: `inbox` to write, `receipts` to read.

As root it is the real thing: an own user in a chroot whose parents are root's. That user exists only inside the
server's mount namespace. A plain user gets sshd as itself, without the chroot.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.services import MissingPartError, Part, Server, find_program, may, version_of

USER = "pipit"
UID = 2001
AS_NOBODY = ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups"]

CONFIG = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
PidFile {folder}/sshd.pid
AuthorizedKeysFile {keys}
StrictModes no
UsePAM {pam}
PasswordAuthentication no
KbdInteractiveAuthentication no
AllowTcpForwarding no
MaxStartups 100
LogLevel VERBOSE
Subsystem sftp internal-sftp
"""
CHROOT = "Match User {user}\n  ChrootDirectory /run/sftp-root\n  ForceCommand internal-sftp\n"
NO_CHROOT = "ForceCommand internal-sftp -d {root}\n"

# One more user, an empty /run and the chroot, all of it visible to this sshd only. The keys are copied because sshd reads
# them as that user, who may not be let into the folder they are in.
NAMESPACE = """\
set -e
for file in passwd group; do cat /etc/$file "$1/$file.more" > "$1/$file"; mount --bind "$1/$file" /etc/$file; done
mount -t tmpfs -o mode=755 none /run
mkdir -m 755 /run/sshd /run/sftp-root
install -m 644 "$1/authorized_keys" /run/authorized_keys
mount --bind "$1/root" /run/sftp-root
exec "$2" -D -e -f "$1/sshd_config"
"""


def find_sshd() -> Part:
    """The system's sshd. Raises MissingPartError."""
    named = os.environ.get("SSHD")
    found = (Path(named), "SSHD") if named else find_program("sshd")
    if found is None:
        raise MissingPartError("sshd: no OpenSSH server on this machine (Debian: apt install openssh-server)")
    return Part("sshd", found[0], version_of(found[0], "-V"), found[1])


def make_key(private: Path) -> str:
    """A new Ed25519 key in OpenSSH's format at `private` (0600); returns the public line."""
    key = Ed25519PrivateKey.generate()
    private.touch(mode=0o600)
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption())
    )
    public = key.public_key()
    return public.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()


class SshdServer(Server):
    """OpenSSH with one SFTP user. `root` is the folder that the user lands in, seen from this side."""

    name = "sshd"

    def __init__(self, part: Part, folder: Path | None = None) -> None:
        super().__init__(part, folder)
        self.root = self.folder / "root"
        self.identity = self.folder / "identity"
        self.known_hosts = self.folder / "known_hosts"
        self.mode = self._choose_mode()
        self.user = {"chroot": USER, "nobody": "nobody"}.get(self.mode) or pwd.getpwuid(os.geteuid()).pw_name
        self._lay_out()
        self._write_keys()
        self._write_config()

    @property
    def url(self) -> str:
        """The inbox as a target: sftp://user@127.0.0.1:port/inbox"""
        return f"sftp://{self.user}@{self.host}:{self.port}/inbox"

    @property
    def inbox(self) -> Path:
        """The inbox, seen from this side."""
        return self.root / "inbox"

    @property
    def receipts(self) -> Path:
        """The receipts, seen from this side; the SFTP user may only read them where there is a chroot."""
        return self.root / "receipts"

    def command(self) -> list[str]:
        """In a namespace of its own as root, plain otherwise."""
        sshd = str(self.part.program)
        if self.mode == "chroot":
            return ["unshare", "--mount", "bash", "-c", NAMESPACE, "sshd", str(self.folder), sshd]
        become = AS_NOBODY if self.mode == "nobody" else []
        return [*become, sshd, "-D", "-e", "-f", str(self.folder / "sshd_config")]

    def _choose_mode(self) -> str:
        if os.geteuid() != 0:
            return "self"
        return "chroot" if may("unshare", "--mount", "mount", "-t", "tmpfs", "none", "/run") else "nobody"

    def _lay_out(self) -> None:
        for folder in (self.root, self.inbox, self.receipts):
            folder.mkdir(mode=0o755)
        (self.folder / "passwd.more").write_text(
            f"sshd:x:74:65534::/run/sshd:/usr/sbin/nologin\n{USER}:x:{UID}:{UID}::/:/bin/sh\n"
        )
        (self.folder / "group.more").write_text(f"{USER}:x:{UID}:\n")
        if self.mode == "chroot":
            os.chown(self.inbox, UID, UID)

    def _write_keys(self) -> None:
        host_key = make_key(self.folder / "host_key")
        (self.folder / "authorized_keys").write_text(make_key(self.identity) + "\n")
        self.known_hosts.write_text(f"[{self.host}]:{self.port} {host_key}\n")

    def _write_config(self) -> None:
        pam = "yes" if self.user == "nobody" else "no"  # without PAM the account of `nobody` counts as locked
        keys = "/run/authorized_keys" if self.mode == "chroot" else self.folder / "authorized_keys"
        text = CONFIG.format(port=self.port, folder=self.folder, keys=keys, pam=pam)
        release = [int(part) for part in re.findall(r"\d+", self.part.version)[:2]]
        if release >= [9, 8]:
            text += "PerSourcePenalties no\n"  # one test's wrong key must not lock the next test out
        text += CHROOT.format(user=USER) if self.mode == "chroot" else NO_CHROOT.format(root=self.root)
        (self.folder / "sshd_config").write_text(text)
        if self.mode == "nobody":
            for path in (self.inbox, self.folder / "host_key", self.folder / "log"):
                path.touch()
                shutil.chown(path, "nobody", "nogroup")
