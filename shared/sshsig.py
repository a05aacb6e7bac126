"""The SSHSIG format (OpenSSH's PROTOCOL.sshsig), taken apart and put together; no cryptography happens here."""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
import textwrap
from dataclasses import dataclass

from shared.errors import BundleError

MAGIC = b"SSHSIG"
_BEGIN, _END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature, taken apart."""

    key: bytes
    namespace: str
    reserved: bytes
    hash_name: str
    signature: bytes


def parse(signature: bytes) -> Signature:
    """Take a signature apart. Only the canonical armour passes: ssh-keygen itself forgives damage in it."""
    try:
        text = signature.decode("ascii").rstrip("\n")
        lines = text.split("\n")
        if lines[0] != _BEGIN or lines[-1] != _END:
            raise ValueError("no armour")
        blob = base64.b64decode("".join(lines[1:-1]), validate=True)
        if armour(blob) != signature:
            raise ValueError("the armour is not canonical")
        if blob[:6] != MAGIC or struct.unpack(">I", blob[6:10])[0] != 1:
            raise ValueError("not an SSH signature of version 1")
        parts, rest = [], blob[10:]
        for _ in range(5):
            part, rest = read_string(rest)
            parts.append(part)
        if rest:
            raise ValueError("bytes after the end")
        key, namespace, reserved, hash_name, made = parts
        if hash_name not in (b"sha256", b"sha512"):
            raise ValueError("an unknown hash")
        return Signature(key, namespace.decode("ascii"), reserved, hash_name.decode(), made)
    except (ValueError, IndexError, struct.error, binascii.Error) as cause:
        raise BundleError("signature", f"signature: not a sound SSH signature ({cause})") from cause


def key_blob(public_line: str) -> bytes:
    """The key bytes of `kind base64 [comment]`."""
    words = public_line.split()
    if len(words) < 2:
        raise ValueError("not a public key line")
    blob = base64.b64decode(words[1], validate=True)
    if read_string(blob)[0] != words[0].encode():
        raise ValueError("the kind does not fit the key")
    return blob


def fingerprint_of(blob: bytes) -> str:
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def signed_bytes(data: bytes, namespace: str, reserved: bytes, hash_name: str) -> bytes:
    """What the key really signs: the message's hash with its purpose."""
    digest = hashlib.new(hash_name, data).digest()
    return MAGIC + b"".join(string(part) for part in (namespace.encode(), reserved, hash_name.encode(), digest))


def armour(blob: bytes) -> bytes:
    body = "\n".join(textwrap.wrap(base64.b64encode(blob).decode(), 70))
    return f"{_BEGIN}\n{body}\n{_END}\n".encode()


def string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def read_string(data: bytes) -> tuple[bytes, bytes]:
    """One length-prefixed string and what follows it."""
    if len(data) < 4:
        raise ValueError("cut short")
    length = struct.unpack(">I", data[:4])[0]
    if length > len(data) - 4:
        raise ValueError("cut short")
    return data[4 : 4 + length], data[4 + length :]
