"""Why nobody was let in: each refused login as an error that says what to do, in words alone (no driver here)."""

from __future__ import annotations

from shared.errors import ConfigError, ShipError
from trainer.targets import Target


def unusable_identity(target: Target, cause: BaseException) -> ConfigError:
    """The private key that the target names cannot be read as one."""
    if isinstance(cause, OSError):
        why = f"{cause.strerror or cause}; name another with --identity"
    elif "password" in str(cause).lower() or "encrypted" in str(cause).lower():
        why = "it has a passphrase; `ssh-add` it and leave --identity out, or name a key without one"
    else:
        why = "it is no private SSH key (OpenSSH or PEM); name another with --identity"
    return ConfigError(f"ship: the key {target.identity} for {target.name} cannot be used: {why}")


def unreadable_known_hosts(target: Target, cause: BaseException) -> ConfigError:
    """The file that pins host keys cannot be read."""
    return ConfigError(
        f"ship: cannot read the known hosts file {target.known_hosts}: {cause}; make it with "
        f"`ssh-keyscan -p {target.port} {target.host}` and compare the key at the Pi"
    )


def changed_host_key(target: Target, shown: str, pinned: str) -> ShipError:
    """The host shows another key than the pinned one; both as fingerprints."""
    host = target.host if target.port == 22 else f"[{target.host}]:{target.port}"
    file = target.known_hosts or "~/.ssh/known_hosts"
    return ShipError(
        f"ship: {target.name} shows another host key than the pinned one: it has {shown}, pinned is {pinned}. "
        "Somebody may be in between, or the Pi was set up anew. Compare with `ssh-keygen "
        f"-lf /etc/ssh/ssh_host_ed25519_key.pub` typed at the Pi; only if they agree, `ssh-keygen -R '{host}' -f {file}` "
        f"and pin the new key with `ssh-keyscan -p {target.port} {target.host} >> {file}`",
        "host_key",
    )


def unknown_host_key(target: Target) -> ShipError:
    """No key of the host is pinned yet."""
    file = target.known_hosts or "~/.ssh/known_hosts"
    return ShipError(
        f"ship: no host key of {target.name} is pinned in {file}; pin it with `ssh-keyscan -p {target.port} {target.host} "
        f">> {file}` and compare with `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` typed at the Pi",
        "host_key",
    )


def not_let_in(target: Target, cause: BaseException) -> ShipError:
    """The host knows neither user nor key."""
    key = target.identity or "any key of the SSH agent"
    return ShipError(
        f"ship: {target.name} ({target.host}:{target.port}) does not let {target.user} in with {key}: "
        f"{str(cause).rstrip('.')}; put the public half into the Pi's authorized_keys",
        "auth",
    )
