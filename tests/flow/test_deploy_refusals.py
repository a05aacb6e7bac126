"""What `make deploy-pi` says before it has touched anything."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.daemon_process import ROOT


def test_a_laptop_without_ssh_is_told_what_to_install(tmp_path: Path) -> None:
    """bash and the few programs that come before are there, ssh is not."""
    for program in ("bash", "dirname"):
        (tmp_path / program).symlink_to(shutil.which(program) or program)
    line = [str(tmp_path / "bash"), str(ROOT / "deploy/install-pi.sh"), "pi@attic.lan"]
    done = subprocess.run(line, env={**os.environ, "PATH": str(tmp_path)}, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "deploy: there is no ssh here (Debian: apt install openssh-client)\n"
