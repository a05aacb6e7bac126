"""Targets: the Pis that this trainer may ship to, kept in `targets.yaml` of the state folder."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import yaml

from shared import layout
from shared.errors import ConfigError
from trainer.remote import LocalRemote, Remote

FILE = "targets.yaml"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Target:
    """One Pi's inbox. `inbox` is relative to the login folder, or absolute; a `file:` target is on this machine."""

    name: str
    url: str
    scheme: str
    user: str
    host: str
    port: int
    inbox: str
    identity: Path | None = None
    known_hosts: Path | None = None
    groups: tuple[str, ...] = ()


def parse_target(
    name: str,
    url: str,
    identity: Path | None = None,
    known_hosts: Path | None = None,
    groups: tuple[str, ...] = (),
) -> Target:
    """A target from `sftp://user@host:port/inbox` (one slash: from the login folder; two: absolute) or `file:///inbox`.

    Raises:
        ConfigError: the URL is none of these.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or 22
    except ValueError as cause:
        raise ConfigError(f"target {name}: {url!r} is no URL ({cause})") from cause
    form = "write sftp://user@host:port/inbox (one slash: from the login folder; two: absolute)"
    if parts.scheme == "file" and parts.path.startswith("/") and not parts.netloc:
        return Target(name, url, "file", "", "", 0, unquote(parts.path), groups=groups)
    if parts.scheme != "sftp" or not parts.hostname or not parts.username:
        raise ConfigError(f"target {name}: {url!r} cannot be used; {form}")
    if parts.password:
        raise ConfigError(f"target {name}: a password in a URL ends up in logs; use a key (--identity)")
    inbox = unquote(parts.path)[1:] or "."
    return Target(
        name, url, "sftp", unquote(parts.username), parts.hostname, port, inbox, identity, known_hosts, groups
    )


def connect(target: Target, timeout_s: float = 20.0) -> Remote:
    """Open the inbox of a target.

    Raises:
        ShipError: it cannot be reached (`unknown`), or does not let us in.
    """
    if target.scheme == "file":
        return LocalRemote(Path(target.inbox))
    from trainer.sftp import SftpRemote  # here: paramiko is heavy, and most commands do without

    return SftpRemote(target, timeout_s)


def find_target(
    state_dir: Path, reference: str, identity: Path | None = None, known_hosts: Path | None = None
) -> Target:
    """The target called so, or the one that a URL describes. Given files go before those of `targets.yaml`.

    Raises:
        ConfigError: there is none.
    """
    if "://" in reference:
        url = urlsplit(reference)
        name = re.sub(r"[^A-Za-z0-9._-]", "-", url.hostname or Path(url.path).name) or "target"
        return parse_target(name, reference, identity, known_hosts)
    known = load_targets(state_dir)
    if reference not in known:
        names = ", ".join(sorted(known)) or "none yet"
        raise ConfigError(f"target {reference}: not known (known: {names}); add it with `pipit-trainer targets add`")
    found = known[reference]
    return parse_target(
        found.name, found.url, identity or found.identity, known_hosts or found.known_hosts, found.groups
    )


def fleet(state_dir: Path, group: str) -> list[Target]:
    """The targets of a group, in the file's order; `all` is everybody.

    Raises:
        ConfigError: nobody is in it.
    """
    members = [t for t in load_targets(state_dir).values() if group == "all" or group in t.groups]
    if not members:
        join = "" if group == "all" else f" --group {group}"
        raise ConfigError(f"fleet {group}: no target is in it; `pipit-trainer targets add NAME URL{join}`")
    return members


def load_targets(state_dir: Path) -> dict[str, Target]:
    """All known targets by name.

    Raises:
        ConfigError: the file cannot be used; every fault is listed.
    """
    path = state_dir / FILE
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        entries = found["targets"] if found else {}
        items = list(entries.items())
    except FileNotFoundError:
        return {}
    except (OSError, yaml.YAMLError, AttributeError, KeyError, TypeError) as cause:
        raise ConfigError(f"targets: {path} cannot be read ({cause})") from cause
    targets, faults = {}, []
    for name, entry in items:
        try:
            targets[str(name)] = _from_entry(str(name), entry)
        except (ConfigError, KeyError, TypeError, AttributeError) as cause:
            faults.append(f"{name}: {cause}")
    if faults:
        raise ConfigError(f"targets: {path} has faults", tuple(faults))
    return targets


def add_target(state_dir: Path, target: Target) -> None:
    """Add or replace a target.

    Raises:
        ConfigError: the name cannot be used.
    """
    if not _NAME.fullmatch(target.name):
        raise ConfigError(f"target {target.name!r}: a name has letters, digits, dots, dashes and underscores")
    _save(state_dir, {**load_targets(state_dir), target.name: target})


def remove_target(state_dir: Path, name: str) -> None:
    """Forget a target.

    Raises:
        ConfigError: it is not known.
    """
    known = load_targets(state_dir)
    if name not in known:
        raise ConfigError(f"target {name}: not known")
    _save(state_dir, {key: target for key, target in known.items() if key != name})


def _from_entry(name: str, entry: Mapping[str, object]) -> Target:
    unknown = set(entry) - {"url", "identity", "known_hosts", "groups"}
    if unknown:
        raise ConfigError(f"unknown keys {', '.join(sorted(map(str, unknown)))}")
    groups = entry.get("groups") or []
    if not isinstance(groups, list):
        raise ConfigError("groups is a list of names")
    return parse_target(
        name,
        str(entry["url"]),
        _path(entry.get("identity")),
        _path(entry.get("known_hosts")),
        tuple(str(group) for group in groups),
    )


def _path(value: object) -> Path | None:
    return None if not value else Path(str(value)).expanduser()


def _save(state_dir: Path, targets: Mapping[str, Target]) -> None:
    entries = {
        target.name: {
            "url": target.url,
            **({"identity": str(target.identity)} if target.identity else {}),
            **({"known_hosts": str(target.known_hosts)} if target.known_hosts else {}),
            **({"groups": list(target.groups)} if target.groups else {}),
        }
        for target in targets.values()
    }
    state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    layout.write_atomic(state_dir / FILE, yaml.safe_dump({"targets": entries}, sort_keys=False).encode())
