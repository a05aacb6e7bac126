"""An SFTP server from a package, for machines without OpenSSH: the same layout and login as `SshdServer`, any user.

`main` serves the folder named on the command line; `PackagedSftpServer` starts that as a child.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
import sys
from pathlib import Path

import asyncssh

from tests.services import Part
from tests.sshd_server import SshdServer


def find_asyncssh() -> Part:
    """The package's server is always there where the tests are."""
    return Part("sftp", Path(sys.executable), importlib.metadata.version("asyncssh"), "package asyncssh")


class PackagedSftpServer(SshdServer):
    """asyncssh's server in a child process, shut in its `root` folder by the package, not by the kernel."""

    name = "sftp"

    def command(self) -> list[str]:
        """This module as a program; the project's folder is where it is imported from."""
        project = str(Path(__file__).parent.parent)
        code = f"import sys; sys.path.insert(0, {project!r}); from tests.asyncssh_server import main; main()"
        return [sys.executable, "-c", code, str(self.folder), str(self.port)]

    def _choose_mode(self) -> str:
        return "self"


class _Sftp(asyncssh.SFTPServer):
    """Links say what was written into them, as with OpenSSH; the package resolves them against its own folder."""

    def readlink(self, path: bytes) -> bytes:
        return os.readlink(self.map_path(path))


async def serve(folder: Path, port: int) -> None:
    """Serve until the process ends."""
    root = str(folder / "root").encode()
    await asyncssh.listen(
        "127.0.0.1",
        port,
        server_host_keys=[str(folder / "host_key")],
        authorized_client_keys=str(folder / "authorized_keys"),
        sftp_factory=lambda channel: _Sftp(channel, chroot=root),
        allow_scp=False,
    )
    await asyncio.Event().wait()


def main() -> None:
    """FOLDER PORT."""
    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2])))
