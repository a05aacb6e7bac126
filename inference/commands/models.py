"""`pipit-inference models`: what is in the store, and asking for another version."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from inference.bundles.reconciling import CHALLENGER, reconcile_settings
from inference.bundles.store import BundleStore
from inference.commands.asking import ask, open_store
from inference.reconcile import ACTIVATE, ROLLBACK
from shared import bundle, layout
from shared.clean import clean
from shared.command import Group, asks_for_help
from shared.errors import BundleError, ConfigError, RequestError

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
ONLY_AGENT = click.option("--agent", help="Only this agent's.")
ONE_AGENT = click.option("--agent", help="Which agent, where it would not be clear.")
TIMEOUT = click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    help="Seconds to wait for the daemon.",
)


@click.group(cls=Group)
@click.pass_context
def models(context: click.Context) -> None:
    """The models on this machine."""
    if callable(context.obj) and not asks_for_help(context):  # the settings are read only by commands that need them
        context.obj = context.obj()


@models.command("list")
@ONLY_AGENT
@AS_JSON
@click.pass_obj
def models_list(settings: Any, agent: str | None, as_json: bool) -> None:
    """Known versions, newest first; `*` serves."""
    with open_store(settings) as store:
        active = {row.agent: row for row in store.actives()}
        known = store.bundles(agent)
    rows = [
        {**asdict(row), "active": row.agent in active and active[row.agent].version == row.version} for row in known
    ]
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        mark = "*" if row["active"] else " "
        model_id = layout.model_id(row["agent"], row["version"])
        click.echo(
            clean(f"{mark} {model_id:<32} {row['state']:<10} serial {row['serial']:<12} {row['code']} {row['reason']}")
        )
    if not rows:
        click.echo("no model yet; ship one with `pipit-trainer ship VERSION --to …`")


@models.command("activate")
@click.argument("version")
@ONE_AGENT
@TIMEOUT
@AS_JSON
@click.pass_obj
def models_activate(settings: Any, version: str, agent: str | None, timeout: float, as_json: bool) -> None:
    """Activate VERSION: one that was good here before, or one that lies in the inbox."""
    with open_store(settings) as store:
        agent, version = _find(store, settings.inbox_folder, version, agent)
        ask(settings, store, agent, ACTIVATE, version, timeout, as_json)


@models.command("challenge")
@click.argument("version")
@ONE_AGENT
@TIMEOUT
@AS_JSON
@click.pass_obj
def models_challenge(settings: Any, version: str, agent: str | None, timeout: float, as_json: bool) -> None:
    """Judge VERSION beside the active one; it alerts nobody. It may be one that has only come into the inbox."""
    with open_store(settings) as store:
        agent, version = _find(store, settings.inbox_folder, version, agent)
        ask(settings, store, agent, CHALLENGER, version, timeout, as_json)


@models.command("rollback")
@ONE_AGENT
@TIMEOUT
@AS_JSON
@click.pass_obj
def models_rollback(settings: Any, agent: str | None, timeout: float, as_json: bool) -> None:
    """Go back to the former version."""
    with open_store(settings) as store:
        agents = [row.agent for row in store.actives() if agent in (None, row.agent)]
        if len(agents) != 1:
            if not agents:
                raise BundleError("no_previous", "rollback: no model serves, so there is none to go back from")
            raise ConfigError("rollback: several agents serve; name one with --agent")
        ask(settings, store, agents[0], ROLLBACK, None, timeout, as_json)


@models.command("history")
@ONLY_AGENT
@click.option("--version", help="Only of this version.")
@click.option("--state", "ended", help="Only what ended so: loaded, good, refused or returned.")
@click.option("--days", type=click.FloatRange(min=0), help="Only the last so many days.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="The newest so many.")
@click.option("--forget-days", type=click.FloatRange(min=0), help="Remove what is older than this many days instead.")
@AS_JSON
@click.pass_obj
def models_history(
    settings: Any,
    agent: str | None,
    version: str | None,
    ended: str | None,
    days: float | None,
    limit: int,
    forget_days: float | None,
    as_json: bool,
) -> None:
    """What became of the bundles that came here, newest first."""
    with open_store(settings) as store:
        if forget_days is not None:
            click.echo(f"{store.forget_transfers(time.time() - forget_days * 86400)} removed")
            return
        since = 0.0 if days is None else time.time() - days * 86400
        found = store.transfers(agent, limit, version=version, state=ended, since=since)
    if as_json:
        click.echo(json.dumps([asdict(row) for row in found]))
        return
    for row in found:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(row.at))
        click.echo(clean(f"{when}  {row.way:<9} {row.agent} {row.version:<20} {row.state:<9} {row.code} {row.reason}"))


@models.command("prune")
@click.option("--keep", type=click.IntRange(min=0), help="Good versions that stay besides; else INFERENCE_KEEP_MODELS.")
@click.pass_obj
def models_prune(settings: Any, keep: int | None) -> None:
    """Remove old copies: never one that is active, the former one, or one that is being tried."""
    with open_store(settings) as store:
        for model_id in store.prune(settings.keep_models if keep is None else keep):
            click.echo(f"removed {model_id}")


@models.command("verify")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@AS_JSON
@click.pass_obj
def models_verify(settings: Any, folder: Path, as_json: bool) -> None:
    """Check a bundle's folder as the daemon would: signature, audience, files. Nothing is loaded."""
    places = reconcile_settings(settings)
    raw = bundle.open_bundle(folder.resolve())
    manifest = bundle.verify(raw, places.allowed_signers, places.revoked_keys, machine=places.machine)
    said = {"model_id": manifest.model_id, "serial": manifest.serial, "manifest_sha256": manifest.sha256, "ok": True}
    click.echo(json.dumps(said) if as_json else f"{manifest.model_id} is whole and signed (serial {manifest.serial})")


def _find(store: BundleStore, inbox: Path, reference: str, agent: str | None) -> tuple[str, str]:
    known = {(row.agent, row.version) for row in store.bundles()}
    known |= {(a, v) for a in layout.agents_in(inbox) for v in layout.versions_in(inbox, a)}
    found = [
        (a, v) for a, v in sorted(known) if agent in (None, a) and reference in (v, layout.model_id(a, v), f"{a}/{v}")
    ]
    if len(found) == 1:
        return found[0]
    if found:
        raise ConfigError(f"models: {reference} is a version of several agents; name one with --agent")
    raise RequestError(
        f"models: {reference} is neither in this machine's store nor in its inbox; see `pipit-inference models list`",
        missing=True,
    )
