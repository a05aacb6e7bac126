"""A Pi that answers nonsense over SFTP is a Pi that cannot be asked, not a fault inside Pipit."""

from __future__ import annotations

import pytest
from paramiko.sftp import SFTPError

from shared.errors import ShipError
from trainer.sftp import SftpRemote
from trainer.targets import parse_target

NONSENSE = [SFTPError("Garbage packet received"), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")]


@pytest.mark.parametrize("nonsense", NONSENSE)
def test_an_answer_that_cannot_be_read_is_said_of_its_pi(nonsense: Exception) -> None:
    remote = object.__new__(SftpRemote)
    remote.target = parse_target("attic", "sftp://pipit@attic/inbox")
    with pytest.raises(ShipError, match="attic answers what cannot be read") as found, remote._talk("wifi/active"):
        raise nonsense
    assert found.value.unknown
