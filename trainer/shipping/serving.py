"""What a Pi says serves there, asked of it now."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from shared import layout
from shared.errors import ConfigError, ShipError
from trainer.remote import Remote
from trainer.ship import GOOD, LOADED, Shipped
from trainer.shipping import history
from trainer.shipping.receipts import read_agent_receipt
from trainer.targets import Target

Connect = Callable[[Target], Remote]


def check(connect: Connect, target: Target) -> dict[str, Any]:
    """Can the target be reached and written, and what serves there?

    Raises:
        ShipError: it cannot.
    """
    remote = connect(target)
    try:
        free = remote.free_bytes()
        remote.make_folder(layout.INCOMING)
        agents = [name for name, _ in remote.names(".") if layout.is_agent(name)]
        receipts = {agent: read_agent_receipt(remote, agent) for agent in agents}
    finally:
        remote.close()
    return {
        "target": target.name,
        "free_bytes": free,
        "agents": {
            a: {"version": r.version, "state": r.state, "at": r.at, "previous": r.previous}
            for a, r in receipts.items()
            if r
        },
    }


def serves_already(
    connect: Connect, state_dir: Path, target: Target, agent: str, version: str, until: str
) -> Shipped | None:
    """What a target says of a version that was shipped there before, where that is all that is waited for.

    None: it has to be shipped, or asked: it was not sent before, cannot be reached, or another version serves now.
    """
    last = history.latest(state_dir).get((target.name, agent))
    if last is None or last.version != version or last.state not in (LOADED, GOOD):
        return None
    try:
        with contextlib.closing(connect(target)) as remote:
            said = read_agent_receipt(remote, agent)
    except ShipError:
        return None
    if said is None or said.version != version or said.state not in (GOOD, until):
        return None
    return Shipped(target.name, agent, version, said.serial, last.size_bytes, 0.0, said)


def former_version(connect: Connect, target: Target, agent: str | None) -> tuple[str, str]:
    """The agent and the version that a target's receipt calls the former one.

    Raises:
        ConfigError: its last word does not say which. ShipError: there is none, or it cannot be asked.
    """
    remote = connect(target)
    try:
        agents = [agent] if agent else [name for name, _ in remote.names(".") if layout.is_agent(name)]
        found = [receipt for name in agents if (receipt := read_agent_receipt(remote, name))]
    finally:
        remote.close()
    if len(found) != 1:
        raise ConfigError(
            f"rollback: {target.name} has {'several agents' if found else 'no receipt'}; name the version"
        )
    receipt = found[0]
    if receipt.state not in (LOADED, GOOD):
        raise ConfigError(
            f"rollback: the last word of {target.name} is about {receipt.version} ({receipt.state}), which does not serve "
            "there; name the version to go back to"
        )
    former = receipt.previous
    if former is None:
        raise ShipError(f"rollback: {target.name} has no former version of {receipt.agent}; name one", "no_previous")
    return receipt.agent, former
