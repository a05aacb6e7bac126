"""`pipit-trainer targets | keys`: what this trainer knows and has."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from shared.clean import clean
from shared.command import Group
from shared.errors import ConfigError
from trainer import targets as known
from trainer.keys import ensure_key
from trainer.shipping import history, marks
from trainer.shipping.deliver import Sender, forget_target
from trainer.shipping.serving import check

PATH = click.Path(path_type=Path)


def sender_of(settings: Any) -> Sender:
    state = state_of(settings)
    return Sender(Path(settings.models_dir).expanduser(), state, ensure_key(state, settings.signing_key))


def state_of(settings: Any) -> Path:
    state = Path(settings.state_dir).expanduser()
    if state.exists() and not state.is_dir():
        raise ConfigError(f"state_dir: {state} is no folder")
    return state


@click.group(cls=Group)
def targets() -> None:
    """The Pis that this trainer ships to."""


@targets.command("add")
@click.argument("name")
@click.argument("url")
@click.option("--identity", type=PATH, help="SSH key to log in with.")
@click.option("--known-hosts", type=PATH, help="File that pins the host's key.")
@click.option("--group", "groups", multiple=True, help="A fleet it belongs to; may be repeated.")
@click.pass_obj
def targets_add(
    settings: Any, name: str, url: str, identity: Path | None, known_hosts: Path | None, groups: tuple[str, ...]
) -> None:
    """Add NAME at sftp://user@host:port/inbox (one slash: from the login folder; two: absolute)."""
    here = [path.expanduser().absolute() if path else None for path in (identity, known_hosts)]
    known.add_target(state_of(settings), known.parse_target(name, url, here[0], here[1], groups))
    click.echo(f"target {name} added")


@targets.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON.")
@click.pass_obj
def targets_list(settings: Any, as_json: bool) -> None:
    """Known targets, and what happened there last."""
    last = history.latest(state_of(settings))
    rows: list[dict[str, Any]] = []
    for target in known.load_targets(state_of(settings)).values():
        done = {agent: asdict(transfer) for (name, agent), transfer in last.items() if name == target.name}
        rows.append({"name": target.name, "url": target.url, "groups": list(target.groups), "last": done})
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        said = ", ".join(f"{agent} {t['version']} {t['state']}" for agent, t in row["last"].items()) or "nothing yet"
        click.echo(clean(f"{row['name']:<16} {row['url']:<48} {','.join(row['groups']):<12} {said}"))
    if not rows:
        click.echo("no target yet; `pipit-trainer targets add NAME URL` adds one", err=True)


@targets.command("remove")
@click.argument("name")
@click.pass_obj
def targets_remove(settings: Any, name: str) -> None:
    """Forget a target."""
    forget_target(state_of(settings), name, time.time())
    click.echo(f"target {name} removed")


@targets.command("check")
@click.argument("name")
@click.pass_obj
def targets_check(settings: Any, name: str) -> None:
    """Log in, see that the inbox can be written, and print what serves there as JSON."""
    click.echo(json.dumps(check(known.connect, known.find_target(state_of(settings), name))))


@targets.command("history")
@click.option("--target", help="Only of this target.")
@click.option("--agent", help="Only this agent's.")
@click.option("--version", help="Only of this version.")
@click.option("--state", help="Only what ended so: sent, loaded, good, refused, returned, failed, skipped, unknown.")
@click.option("--days", type=click.FloatRange(min=0), help="Only the last so many days.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="The newest so many.")
@click.option("--forget-days", type=click.FloatRange(min=0), help="Remove what is older than this many days instead.")
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON.")
@click.pass_obj
def targets_history(
    settings: Any,
    target: str | None,
    agent: str | None,
    version: str | None,
    state: str | None,
    days: float | None,
    limit: int,
    forget_days: float | None,
    as_json: bool,
) -> None:
    """What was shipped, newest first."""
    if forget_days is not None:
        click.echo(f"{history.forget(state_of(settings), time.time() - forget_days * 86400)} removed")
        return
    since = 0.0 if days is None else time.time() - days * 86400
    wanted = {"target": target, "agent": agent, "version": version, "state": state}
    found = history.transfers(state_of(settings), **wanted, since=since, limit=limit)
    if as_json:
        click.echo(json.dumps([asdict(transfer) for transfer in found]))
        return
    for t in found:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(t.at))
        click.echo(
            clean(f"{when}  {t.what:<8} {t.agent} {t.version:<20} {t.target:<16} {t.state:<9} {t.code} {t.reason}")
        )
    if not found:
        click.echo("nothing was shipped yet that fits", err=True)


@targets.command("marks")
@click.option("--fleet", "group", default="all", show_default=True, help="Whom to ask.")
@click.option("--agent", help="Only those of this agent.")
@click.option("--output", type=PATH, help="File to write them to, for `train --labels`.")
@click.pass_obj
def targets_marks(settings: Any, group: str, agent: str | None, output: Path | None) -> None:
    """Ask the Pis what was said of incidents (false or confirmed), as labels. Who is offline counts with the last answer."""
    state = state_of(settings)
    heard = marks.ask(state, known.fleet(state, group), time.time)
    labels = json.dumps([label for each in heard for label in each.of(agent)], indent=1)
    for each in heard:
        count = len(each.of(agent))
        said = f"{each.target}: {count} mark{'' if count == 1 else 's'}"
        click.echo(clean(f"{said}; {each.fault}" if each.fault else said), err=True)
    if output is None:
        click.echo(labels)
        return
    try:
        output.write_text(labels + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"targets marks: {output} cannot be written: {error.strerror}") from error


@click.group(cls=Group)
def keys() -> None:
    """The key that signs bundles."""


@keys.command("init")
@click.pass_obj
def keys_init(settings: Any) -> None:
    """Make the signing key where there is none."""
    key = ensure_key(state_of(settings), settings.signing_key)
    click.echo(f"{'made' if key.made else 'there already:'} {key.path} ({key.fingerprint})")
    click.echo(key.allowed_signers_line)


@keys.command("show")
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON, with the key's path.")
@click.pass_obj
def keys_show(settings: Any, as_json: bool) -> None:
    """The public key, its fingerprint, and the line for a Pi's allowed signers file."""
    key = ensure_key(state_of(settings), settings.signing_key)
    if key.made:
        click.echo(f"made a new key: {clean(str(key.path))}", err=True)
    if as_json:
        click.echo(
            json.dumps(
                {
                    "path": str(key.path),
                    "public": key.public,
                    "fingerprint": key.fingerprint,
                    "allowed_signers": key.allowed_signers_line,
                }
            )
        )
        return
    click.echo(f"{key.public}\n{key.fingerprint}\n{key.allowed_signers_line}")
