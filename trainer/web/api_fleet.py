"""The fleet over HTTP: targets, shipping, going back, transfers."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from flask import abort, jsonify
from flask.typing import ResponseReturnValue

from shared.errors import ConfigError
from shared.values import iso
from trainer import targets
from trainer.shipping import history
from trainer.shipping.deliver import forget_target
from trainer.targets import Target
from trainer.tasks.orders import CatchUpOrder, RollbackOrder, ShipOrder
from trainer.web.api_training import BY, told
from trainer.web.room import Room, this_room


def list_targets() -> ResponseReturnValue:
    """Every known Pi, and what happened there last."""
    room = this_room()
    latest, serving, beside = room.latest(), room.serving(), room.beside()
    return jsonify(
        targets=[
            {
                "name": one.name,
                "url": one.url,
                "groups": list(one.groups),
                "agents": {
                    agent: {
                        "version": serving.get((name, agent)),
                        "challenger": beside[name, agent].version if (name, agent) in beside else None,
                        "last": last.version,
                        "state": last.state,
                        "at": iso(last.at),
                    }
                    for (name, agent), last in sorted(latest.items())
                    if name == one.name
                },
            }
            for one in room.targets().values()
        ]
    )


def add_target(body: dict[str, Any]) -> ResponseReturnValue:
    """Add a Pi, or change one."""
    one = parse(
        body["name"], body["url"], body.get("identity", ""), body.get("known_hosts", ""), tuple(body.get("groups", ()))
    )
    targets.add_target(this_room().state_dir, one)
    return jsonify(name=one.name, url=one.url, groups=list(one.groups), agents={}), 201


def remove_target(name: str) -> ResponseReturnValue:
    """Forget a Pi."""
    room = this_room()
    if name not in room.targets():
        abort(404)
    forget_target(room.state_dir, name, room.now())
    return jsonify(removed=[name])


def ship(body: dict[str, Any]) -> ResponseReturnValue:
    """Start shipping a version."""
    room = this_room()
    target, group = body.get("target"), body.get("fleet")
    if (target is None) == (group is None):
        raise ConfigError("ship: name either a target or a fleet")
    entry = room.model(body["version"], body.get("agent"))
    if entry is None:
        raise ConfigError(f"ship: {body['version']!r} is no version of this machine, or not unique")
    order = ShipOrder(
        entry.agent, entry.version, target, group, wait=body.get("wait") or ("loaded" if target else "good"),
        timeout_s=body["timeout"], canaries=body["canaries"], batch=body["batch"], force=body["force"],
        reason=body.get("reason", ""), challenger=body["challenger"],
    )  # fmt: skip
    check_ship(room, order)
    return jsonify(told(room.submit(order, BY))), 202


def catch_up(body: dict[str, Any]) -> ResponseReturnValue:
    """Start shipping again to those that could not be reached."""
    room = this_room()
    if body.get("target") and body.get("fleet"):
        raise ConfigError("catch up: name either a target or a fleet")
    group = None if body.get("target") else body.get("fleet") or "all"
    order = CatchUpOrder(body.get("target"), group, body["wait"], body["timeout"], reason=body.get("reason", ""))
    check_ship(room, order)
    if body["force"]:
        order = replace(order, forced=_missed(room, order))
    return jsonify(told(room.submit(order, BY))), 202


def _missed(room: Room, order: CatchUpOrder) -> tuple[str, ...]:
    """What those who are behind lack and missed its gate, as it is now."""
    names = {one.name for one in targets.fleet(room.state_dir, "all" if order.target else order.group or "all")}
    lacking = {
        (last.agent, last.version)
        for (name, _), last in room.latest().items()
        if last.state == "unknown" and name in ({order.target} if order.target else names)
    }
    found = [entry for agent, version in sorted(lacking) if (entry := room.model(version, agent)) is not None]
    return tuple(entry.model_id for entry in found if room.gate(entry).get("passed") is False)


def pause(reference: str) -> ResponseReturnValue:
    """Let a roll-out begin no further wave."""
    return _paused(reference, True)


def go_on(reference: str) -> ResponseReturnValue:
    """Let a paused roll-out go on."""
    return _paused(reference, False)


def _paused(reference: str, paused: bool) -> ResponseReturnValue:
    room = this_room()
    job = room.jobs.find(reference)
    if job is None:
        abort(404)
    changed = room.jobs.pause(job, paused, room.now())
    if changed is None:
        abort(409, f"job {job.number} is no roll-out that still runs: {job.kind}, {job.state}")
    return jsonify(told(changed)), 202


def rollback(body: dict[str, Any]) -> ResponseReturnValue:
    """Start going back to a former version."""
    room = this_room()
    targets.find_target(room.state_dir, known(body["target"]))
    order = RollbackOrder(body["target"], body.get("agent"), body.get("version"), body["timeout"])
    if order.version is not None and room.model(order.version, order.agent) is None:
        raise ConfigError(f"rollback: {order.version!r} is no version of this machine, or not unique")
    return jsonify(told(room.submit(order, BY))), 202


def list_transfers(query: dict[str, Any]) -> ResponseReturnValue:
    """What was sent, newest first."""
    found = history.transfers(
        this_room().state_dir, target=query.get("target"), agent=query.get("agent"), limit=query["limit"]
    )
    return jsonify(transfers=[{**asdict(one), "at": iso(one.at)} for one in found])


def check_ship(room: Room, order: ShipOrder | CatchUpOrder) -> None:
    """Is there somebody to ship to?

    Raises:
        ConfigError: the target is not known, or nobody is in the group.
    """
    if order.target is not None:
        targets.find_target(room.state_dir, known(order.target))
    else:
        targets.fleet(room.state_dir, order.group or "all")


def known(name: str) -> str:
    """A target's name; over HTTP no address takes its place.

    Raises:
        ConfigError: it is an address.
    """
    if "://" in name:
        raise ConfigError(f"target {name!r}: add the Pi first, then use its name")
    return name


def parse(name: str, url: str, identity: str, known_hosts: str, groups: tuple[str, ...]) -> Target:
    """A Pi as somebody described it on a page or over the API: reached by SFTP, its key pinned.

    Raises:
        ConfigError: something does not fit; the message begins with the field's name.
    """
    if not url.startswith("sftp://"):
        raise ConfigError(
            "url: write sftp://user@host:port/inbox; a folder of this machine is added on the command line"
        )
    files = []
    for field, text in (("identity", identity), ("known_hosts", known_hosts)):
        path = Path(text.strip()).expanduser() if text.strip() else None
        if path is not None and not (path.is_absolute() and path.is_file()):
            raise ConfigError(f"{field}: {text!r} is no file on this machine; give its whole path")
        files.append(path)
    return targets.parse_target(name, url, files[0], files[1], groups)
