"""SSH signatures: ssh-keygen and the library accept each other's work and refuse the same things."""

from __future__ import annotations

import base64
import random
from pathlib import Path

import pytest

from shared import signing, sshsig
from shared.errors import BundleError, ConfigError
from shared.signing import KEYGEN, LIBRARY

WAYS = [KEYGEN, LIBRARY]
DATA = b'{"schema":1}\n'


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "signing_key"
    signing.make_key(path, "a test", LIBRARY)
    return path


def allowed(key: Path) -> bytes:
    return (signing.allowed_signers_line(signing.read_public(key)) + "\n").encode()


def code_of(data: bytes, signature: bytes, trusted: bytes, revoked: bytes = b"", use: str = LIBRARY) -> str:
    with pytest.raises(BundleError) as refusal:
        signing.verify(data, signature, trusted, revoked, use)
    return refusal.value.code


@pytest.mark.parametrize("maker", WAYS)
@pytest.mark.parametrize("checker", WAYS)
def test_each_way_accepts_the_signatures_and_keys_of_the_other(
    tmp_path: Path, ssh_keygen: Path, maker: str, checker: str
) -> None:
    key = tmp_path / "key"
    signing.make_key(key, "a test", maker)
    assert key.stat().st_mode & 0o777 == 0o600
    for signer in WAYS:
        signature = signing.sign(DATA, key, signer)
        found = signing.verify(DATA, signature, allowed(key), use=checker)
        assert found == signing.Signer("pipit", signing.fingerprint(signing.read_public(key)))


def test_both_ways_make_the_same_bytes(key: Path, ssh_keygen: Path) -> None:
    assert signing.sign(DATA, key, KEYGEN) == signing.sign(DATA, key, LIBRARY)


@pytest.mark.parametrize("use", WAYS)
def test_changed_data_is_refused(key: Path, ssh_keygen: Path, use: str) -> None:
    signature = signing.sign(DATA, key)
    assert code_of(DATA + b" ", signature, allowed(key), use=use) == "signature"


@pytest.mark.parametrize("use", WAYS)
def test_a_key_that_is_not_listed_is_unknown(tmp_path: Path, key: Path, ssh_keygen: Path, use: str) -> None:
    other = tmp_path / "other"
    signing.make_key(other, "somebody else")
    signature = signing.sign(DATA, other)
    assert code_of(DATA, signature, allowed(key), use=use) == "signer_unknown"
    assert code_of(DATA, signature, b"", use=use) == "signer_unknown"


@pytest.mark.parametrize("use", WAYS)
def test_a_revoked_key_is_refused_although_it_is_listed(key: Path, ssh_keygen: Path, use: str) -> None:
    revoked = f"# stolen\n{signing.read_public(key)}\n".encode()
    assert code_of(DATA, signing.sign(DATA, key), allowed(key), revoked, use) == "signer_revoked"


def test_a_revocation_file_that_cannot_be_read_refuses_everything(key: Path) -> None:
    assert code_of(DATA, signing.sign(DATA, key), allowed(key), b"ssh-ed25519 ???\n") == "signer_revoked"


def test_a_signature_for_another_purpose_is_refused(key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signing, "NAMESPACE", "git")
    signature = signing.sign(DATA, key, LIBRARY)
    monkeypatch.undo()
    assert code_of(DATA, signature, allowed(key)) == "namespace"


def test_a_key_listed_for_another_purpose_or_with_dates_is_not_trusted(key: Path) -> None:
    signature = signing.sign(DATA, key)
    public = " ".join(signing.read_public(key).split()[:2])
    for options in ('namespaces="git"', 'valid-before="20200101"', "cert-authority"):
        assert code_of(DATA, signature, f"pipit {options} {public}\n".encode()) == "signer_unknown"
    signing.verify(DATA, signature, f"pipit {public}\n".encode())


def test_two_keys_are_trusted_while_one_takes_over_from_the_other(tmp_path: Path, key: Path) -> None:
    following = tmp_path / "next"
    signing.make_key(following, "the next one")
    both = b"# now and next\n\n" + allowed(key) + allowed(following)
    for signer in (key, following):
        signing.verify(DATA, signing.sign(DATA, signer), both)


def test_no_damaged_signature_passes(key: Path) -> None:
    signature = signing.sign(DATA, key)
    chance = random.Random(1)
    for _ in range(2000):
        bad = bytearray(signature)
        kind = chance.randrange(4)
        at = chance.randrange(len(bad))
        if kind == 0:
            bad[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            del bad[at : at + chance.randrange(1, 9)]
        elif kind == 2:
            bad[at:at] = chance.choice([b"\n", b" ", b"=", b"A", b"\r\n", b"\0"])
        else:
            bad += chance.choice([b"\n", b"\n\n", b"more", b" "])
        if bytes(bad) != signature:
            code_of(DATA, bytes(bad), allowed(key))


def test_an_armour_that_is_not_canonical_is_refused(key: Path) -> None:
    lines = signing.sign(DATA, key).decode().splitlines()
    one_line = "\n".join([lines[0], "".join(lines[1:-1]), lines[-1]]) + "\n"
    blob = base64.b64decode("".join(lines[1:-1]))
    assert code_of(DATA, one_line.encode(), allowed(key)) == "signature"
    assert code_of(DATA, sshsig.armour(blob + b"\0"), allowed(key)) == "signature"


def test_a_signature_over_a_weak_hash_is_refused_although_the_key_is_listed(key: Path) -> None:
    blob = base64.b64decode("".join(signing.sign(DATA, key, signing.LIBRARY).decode().split("\n")[1:-2]))
    weak = blob.replace(sshsig.string(b"sha512"), sshsig.string(b"md5"))
    assert weak != blob
    with pytest.raises(BundleError, match="an unknown hash"):
        sshsig.parse(sshsig.armour(weak))


def test_a_key_is_never_overwritten(key: Path) -> None:
    with pytest.raises(ConfigError, match="exists already"):
        signing.make_key(key, "again")


@pytest.mark.parametrize("use", WAYS)
def test_signing_without_a_key_says_where_it_looked(tmp_path: Path, ssh_keygen: Path, use: str) -> None:
    with pytest.raises(ConfigError, match=str(tmp_path)):
        signing.sign(DATA, tmp_path / "nothing", use)


def test_a_key_that_is_not_there_is_said_and_its_public_half_not_asked_for(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no key .*nowhere.*keys init"):
        signing.read_public(tmp_path / "nowhere")
    (tmp_path / "alone").write_text("private")
    with pytest.raises(ConfigError, match=r"cannot read the public key .*alone\.pub .*ssh-keygen -y"):
        signing.read_public(tmp_path / "alone")
