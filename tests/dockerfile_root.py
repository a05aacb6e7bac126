"""A Dockerfile without an engine: each stage is this machine's root folder under an overlay, each instruction is carried out in it.

What stays untried is the base image. Its Python is stood in for by this machine's.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

BEGIN = """\
set -e
stage() {
  mkdir -p "$work/$1"
  mount -t tmpfs -o mode=755,size=2g none "$work/$1"
  mkdir "$work/$1/upper" "$work/$1/work" "$work/$1/root"
  mount -t overlay overlay -o lowerdir=/,upperdir="$work/$1/upper",workdir="$work/$1/work" "$work/$1/root"
  root=$work/$1/root
  mount --rbind /dev $root/dev
  mount -t proc proc $root/proc
  mount -t tmpfs -o mode=1777 none $root/tmp
  for user in pipit; do chroot $root userdel $user 2>/dev/null || true; done
  rm -rf $root/opt/pipit $root/opt/build $root/app $root/src $root/wheels $root/locked $root/usr/local/bin/python
  ln -s /usr/bin/python3 $root/usr/local/bin/python
}
within() { chroot "$root" /usr/bin/env -i "$@"; }
"""


@dataclass
class Dockerfile:
    """The instructions, continued lines joined and comments gone."""

    path: Path
    steps: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        lines = [line for line in self.path.read_text().splitlines() if not line.lstrip().startswith("#")]
        text = re.sub(r"\\\n\s*", " ", "\n".join(lines))
        self.steps = [
            (word, rest.strip()) for word, _, rest in (line.partition(" ") for line in text.splitlines() if line)
        ]

    def value(self, instruction: str) -> str:
        """What the last such instruction says."""
        return [rest for word, rest in self.steps if word == instruction][-1]


def carry_out(
    dockerfile: Dockerfile, context: Path, folder: Path, finally_run: str
) -> subprocess.CompletedProcess[str]:
    """Build, then run `finally_run` as the image's user, in its root folder made read-only but for volumes and /tmp."""
    lines = [BEGIN]
    env: dict[str, str] = {}
    where, name = "/", ""
    for word, rest in dockerfile.steps:
        if word == "FROM":
            name = rest.partition(" AS ")[2] or "final"
            env, where = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"}, "/"
            lines.append(f"stage {name}")
        elif word == "ENV":
            pairs = dict(pair.split("=", 1) for pair in shlex.split(rest))
            env |= {key: value.replace("$PATH", env["PATH"]) for key, value in pairs.items()}
        elif word == "WORKDIR":
            where = rest
            lines.append(f"mkdir -p $root{where}")
        elif word == "COPY":
            lines.append(_copy(rest, context, where))
        elif word == "RUN":
            command = f"cd {where} && {rest}"
            lines.append(f"within {_settings(env)} sh -ec {shlex.quote(command)}")
    lines += _sealed(json.loads(dockerfile.value("VOLUME")), dockerfile.value("USER"), env, where, finally_run)
    unshare = shutil.which("unshare") or "unshare"
    script = f"work={shlex.quote(str(folder))}\n" + "\n".join(lines)
    line = [unshare, "--mount", "--pid", "--fork", "--kill-child", "bash", "-c", script]
    return subprocess.run(line, capture_output=True, text=True, check=False, timeout=280)


def _settings(env: dict[str, str]) -> str:
    # How this machine reaches its packages is no part of the image.
    ours = {
        key: value
        for key, value in os.environ.items()
        if key.startswith(("PIP_", "SSL_", "REQUESTS_")) or key.lower().endswith("_proxy")
    }
    return " ".join(f"{key}={shlex.quote(value)}" for key, value in {**ours, **env}.items())


def _copy(rest: str, context: Path, where: str) -> str:
    stage = re.match(r"--from=(\S+) ", rest)
    *sources, target = rest.removeprefix(stage.group(0) if stage else "").split()
    target = target if target.startswith("/") else f"{where}/{target}"
    origin = f"$work/{stage.group(1)}/root" if stage else shlex.quote(str(context))
    words = [f"mkdir -p $(dirname $root{target}x)"]
    for source in sources:
        path = f"{origin}/{source.lstrip('/')}"
        # A folder's content is what COPY copies.
        words.append(
            f"if [ -d {path} ]; then mkdir -p $root{target} && cp -a {path}/. $root{target}; else cp -a {path} $root{target}; fi"
        )
    return "\n".join(words)


def _sealed(volumes: list[str], user: str, env: dict[str, str], where: str, command: str) -> list[str]:
    uid, gid = user.split(":")
    kept = [
        f"mkdir -p $work/v{n} && cp -a $root{volume}/. $work/v{n}/ && chown --reference=$root{volume} $work/v{n}\n"
        f"mount --bind $work/v{n} $root{volume}"
        for n, volume in enumerate(volumes)
    ]
    as_user = f"setpriv --reuid {uid} --regid {gid} --clear-groups --bounding-set -all --no-new-privs"
    inner = f"cd {where} && exec {as_user} sh -ec {shlex.quote(command)}"
    return [*kept, "mount -o remount,ro,bind $root || mount --bind $root $root && mount -o remount,ro,bind $root",
            f"within {_settings(env)} sh -ec {shlex.quote(inner)}"]  # fmt: skip
