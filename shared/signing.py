"""SSH signatures (SSHSIG, OpenSSH's PROTOCOL.sshsig) over a bundle's manifest.

`ssh-keygen -Y` does the work, so hardware keys and agents sign and anybody can check by hand. Where it is missing, the
same format is made and checked for Ed25519 keys through `cryptography`; each accepts what the other made.

Who signed, for which purpose, and whether that key is trusted or revoked is read from the signature itself first, so
that a refusal says which of these it was. Dates in allowed_signers are not honoured: a Pi has no trustworthy clock.
"""

from __future__ import annotations

import base64
import os
import shutil
import struct
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from shared import sshsig
from shared.errors import BundleError, ConfigError
from shared.layout import write_new

NAMESPACE = "pipit-bundle-v1"
PRINCIPAL = "pipit"
AUTO, KEYGEN, LIBRARY = "auto", "ssh-keygen", "cryptography"

_ED25519 = "ssh-ed25519"
_SIGN_TIMEOUT_S = 120.0  # a person may have to type a passphrase or touch a key
_VERIFY_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class Signer:
    """Whose key made a signature."""

    principal: str
    fingerprint: str  # SHA256:…, as ssh-keygen -l prints it


def tool(use: str = AUTO) -> str | None:
    """The path of ssh-keygen, or None where `cryptography` does the work."""
    found = None if use == LIBRARY else shutil.which("ssh-keygen")
    if use == KEYGEN and found is None:
        raise ConfigError("signing: ssh-keygen is not installed; install openssh-client")
    return found


def make_key(path: Path, comment: str, use: str = AUTO) -> str:
    """Make an Ed25519 key pair, `path` (mode 0600, no passphrase) and `path.pub`; gives the public line.

    Raises:
        ConfigError: a file is in the way or the key cannot be made.
    """
    public = path.with_name(path.name + ".pub")
    if path.exists() or public.exists():
        raise ConfigError(f"keys: {path} exists already; move it away first if you want another key")
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if keygen := tool(use):
        _run([keygen, "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)], b"", _SIGN_TIMEOUT_S, "keys")
    else:
        from cryptography.hazmat.primitives import serialization as form
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        key = Ed25519PrivateKey.generate()
        write_new(
            path, key.private_bytes(form.Encoding.PEM, form.PrivateFormat.OpenSSH, form.NoEncryption()), mode=0o600
        )
        line = key.public_key().public_bytes(form.Encoding.OpenSSH, form.PublicFormat.OpenSSH).decode()
        write_new(public, f"{line} {comment}\n".encode())
    return read_public(path)


def read_public(private: Path) -> str:
    """The public line that lies beside a private key."""
    public = private if private.suffix == ".pub" else private.with_name(private.name + ".pub")
    try:
        line = public.read_text(encoding="utf-8").strip()
        sshsig.key_blob(line)
    except (OSError, ValueError) as cause:
        if not private.exists():
            raise ConfigError(
                f"keys: there is no key {private}; name another, or none: then `pipit-trainer keys init` makes one"
            ) from cause
        raise ConfigError(
            f"keys: cannot read the public key {public} ({cause}); make it with `ssh-keygen -y -f {private} > {public}`"
        ) from cause
    return line


def fingerprint(public_line: str) -> str:
    """`SHA256:…` of a public key line."""
    return sshsig.fingerprint_of(sshsig.key_blob(public_line))


def allowed_signers_line(public_line: str, principal: str = PRINCIPAL) -> str:
    """The line that makes a Pi trust this key for bundles and for nothing else."""
    kind, data = public_line.split()[:2]
    return f'{principal} namespaces="{NAMESPACE}" {kind} {data}'


def sign(data: bytes, key: Path, use: str = AUTO) -> bytes:
    """The armoured signature over data.

    Raises:
        ConfigError: the key cannot be read or does not sign.
    """
    if keygen := tool(use):
        if not key.exists():
            raise ConfigError(f"signing: no key at {key}; make one with `pipit-trainer keys init`")
        return _run([keygen, "-q", "-Y", "sign", "-n", NAMESPACE, "-f", str(key)], data, _SIGN_TIMEOUT_S, "signing")
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    try:
        private = form.load_ssh_private_key(key.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as cause:
        raise ConfigError(
            f"signing: cannot use the key {key} ({cause}); without ssh-keygen it must be a plain "
            "Ed25519 key in OpenSSH's format"
        ) from cause
    if not isinstance(private, Ed25519PrivateKey):
        raise ConfigError(f"signing: {key} is no Ed25519 key; install openssh-client to sign with other kinds")
    public = private.public_key().public_bytes(form.Encoding.Raw, form.PublicFormat.Raw)
    blob = sshsig.string(_ED25519.encode()) + sshsig.string(public)
    made = sshsig.string(_ED25519.encode()) + sshsig.string(
        private.sign(sshsig.signed_bytes(data, NAMESPACE, b"", "sha512"))
    )
    parts = (blob, NAMESPACE.encode(), b"", b"sha512", made)
    return sshsig.armour(sshsig.MAGIC + struct.pack(">I", 1) + b"".join(sshsig.string(part) for part in parts))


def verify(data: bytes, signature: bytes, allowed: bytes, revoked: bytes = b"", use: str = AUTO) -> Signer:
    """Who signed data, when that key is one of the allowed ones for bundles and not revoked.

    `allowed` is the text of an allowed_signers file, `revoked` of a file with one public key a line.

    Raises:
        BundleError: with code signature, namespace, signer_unknown or signer_revoked.
    """
    parsed = sshsig.parse(signature)
    mark = sshsig.fingerprint_of(parsed.key)
    if parsed.namespace != NAMESPACE:
        raise BundleError("namespace", f"signature: made for {parsed.namespace[:40]!r}, not for {NAMESPACE!r}")
    if parsed.key in _revoked_keys(revoked):
        raise BundleError("signer_revoked", f"signature: the key {mark} is revoked on this machine")
    principal = _principal(parsed.key, allowed, mark)
    if keygen := tool(use):
        good = _verify_by_tool(keygen, data, signature, parsed.key, principal)
    else:
        good = _verify_by_library(data, parsed)
    if not good:
        raise BundleError("signature", f"signature: does not fit the manifest (key {mark}); it was changed on the way")
    return Signer(principal, mark)


def _verify_by_tool(keygen: str, data: bytes, signature: bytes, key: bytes, principal: str) -> bool:
    """ssh-keygen's word. It gets the one line that was chosen, so nothing is read twice."""
    with tempfile.TemporaryDirectory(prefix="pipit-") as folder:
        line, armoured = Path(folder, "allowed"), Path(folder, "sig")
        kind = sshsig.read_string(key)[0].decode("ascii", "replace")
        encoded = base64.b64encode(key).decode()
        line.write_text(f'{PRINCIPAL} namespaces="{NAMESPACE}" {kind} {encoded}\n', encoding="ascii")
        armoured.write_bytes(signature)
        command = [keygen, "-Y", "verify", "-f", str(line), "-I", PRINCIPAL, "-n", NAMESPACE, "-s", str(armoured)]
        try:
            done = subprocess.run(command, input=data, capture_output=True, timeout=_VERIFY_TIMEOUT_S, check=False)
        except (OSError, subprocess.TimeoutExpired) as cause:
            raise BundleError("signature", f"signature: ssh-keygen did not answer ({cause})") from cause
        return done.returncode == 0


def _verify_by_library(data: bytes, parsed: sshsig.Signature) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        kind, rest = sshsig.read_string(parsed.key)
        raw, rest = sshsig.read_string(rest)
        made_kind, made = sshsig.read_string(parsed.signature)
        value, tail = sshsig.read_string(made)
        if kind != _ED25519.encode() or made_kind != kind or rest or tail:
            raise BundleError(
                "signature", "signature: only Ed25519 keys can be checked without ssh-keygen; install openssh-client"
            )
        signed = sshsig.signed_bytes(data, parsed.namespace, parsed.reserved, parsed.hash_name)
        Ed25519PublicKey.from_public_bytes(raw).verify(value, signed)
    except (InvalidSignature, ValueError):
        return False
    return True


def _principal(key: bytes, allowed: bytes, mark: str) -> str:
    """The name that allowed_signers gives this key."""
    why = "it is not in the allowed signers file"
    for number, line in enumerate(allowed.decode("utf-8", "replace").splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        at = next((i for i, word in enumerate(words) if i and _is_key(word, words[i + 1 : i + 2], key)), None)
        if at is None:
            continue
        options = ",".join(words[1:at])
        if options in ("", f'namespaces="{NAMESPACE}"'):
            return words[0]
        why = f'line {number} limits it by {options!r}; only namespaces="{NAMESPACE}" is understood here'
    raise BundleError(
        "signer_unknown",
        f"signature: the key {mark} is not trusted: {why}. Add the line that "
        "`pipit-trainer keys show` prints to the Pi's allowed signers file, if you trust it",
    )


def _is_key(kind: str, rest: list[str], key: bytes) -> bool:
    if not rest or "=" in kind or '"' in kind:
        return False
    try:
        return sshsig.key_blob(f"{kind} {rest[0]}") == key
    except ValueError:
        return False


def _revoked_keys(text: bytes) -> set[bytes]:
    """The keys of a revocation file. A line that cannot be read is an error: it was meant to forbid something."""
    keys: set[bytes] = set()
    for number, line in enumerate(text.decode("utf-8", "replace").splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            try:
                keys.add(sshsig.key_blob(line))
            except ValueError as cause:
                raise BundleError(
                    "signer_revoked", f"signature: line {number} of the revocation file is no public key ({cause})"
                ) from cause
    return keys


def _run(command: list[str], data: bytes, timeout_s: float, step: str) -> bytes:
    try:
        done = subprocess.run(command, input=data, capture_output=True, timeout=timeout_s, check=False)
    except (OSError, subprocess.TimeoutExpired) as cause:
        raise ConfigError(f"{step}: {os.path.basename(command[0])} did not answer ({cause})") from cause
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip()
        raise ConfigError(f"{step}: {os.path.basename(command[0])} refused: {said}")
    return done.stdout
