"""`pipit-trainer models`: the versions on this machine."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from shared import layout
from shared.clean import clean
from shared.command import Group
from shared.errors import ConfigError
from trainer import archive, catalogue, registry
from trainer.commands.registry import state_of
from trainer.config import Settings
from trainer.gate import decided
from trainer.progress import shown_progress
from trainer.shipping import history
from trainer.versions import bundled_model, shown_difference

FILE = click.Path(path_type=Path, dir_okay=False)


@click.group(cls=Group)
def models() -> None:
    """The models on this machine."""


@models.command("list")
@click.option("--agent", help="Only this agent's.")
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON.")
@click.pass_obj
def models_list(settings: Settings, agent: str | None, as_json: bool) -> None:
    """All versions, newest first."""
    entries = registry.list_models(settings.models_dir, agent)
    if as_json:
        click.echo(json.dumps([{**entry.as_json(), **_later(settings, entry)} for entry in entries]))
        return
    for entry in entries:
        kept = catalogue.kept_of(settings.models_dir, entry.agent, entry.version)
        click.echo(clean(f"{'*' if entry.active else ' '} {entry.model_id:<32} {_line(entry, kept)}"))
    if not entries:
        _nothing(settings, "no model yet", "`pipit-trainer train EXPORT` makes one")


def _nothing(settings: Settings, what: str, more: str) -> None:
    """An empty answer says so to a person, with the folder that was looked into, and nothing to a pipe."""
    click.echo(clean(f"{what} in {settings.models_dir.absolute()}; {more}"), err=True)


def _line(entry: registry.ModelEntry, kept: Any) -> str:
    """A version in half a line: what it found, its gate, the newest note."""
    if entry.fault:
        return entry.fault
    metrics = (entry.metadata.get("evaluation") or {}).get("metrics") or {}
    gate = catalogue.gate_of(entry.metadata, kept)
    parts = [f"serial {entry.serial}, {entry.size_bytes / 1e6:.1f} MB"]
    if metrics.get("episodes"):
        parts.append(f"found {metrics['episodes_found']:.0f} of {metrics['episodes']:.0f}")
    if "false_incidents_per_host_week" in metrics:
        parts.append(f"{metrics['false_incidents_per_host_week']:.2g} false a week and host")
    parts.append(_gate_words(gate))
    if kept["notes"]:
        parts.append(f"“{kept['notes'][-1]['text']}”")
    return ", ".join(parts)


def _gate_words(gate: Mapping[str, Any]) -> str:
    if not gate.get("passed", True):
        return "GATE MISSED"
    return "gate passed" if decided(gate) else "gate not measured"


def _later(settings: Settings, entry: registry.ModelEntry) -> dict[str, Any]:
    """What happened to a version after it was signed."""
    kept = catalogue.kept_of(settings.models_dir, entry.agent, entry.version)
    sent = history.transfers(state_of(settings), agent=entry.agent, version=entry.version, limit=10_000)
    told = catalogue.described(entry, kept, sent)
    return {name: told[name] for name in ("gate", "deployments", "forced", "notes", "evaluations")}


@models.command("show")
@click.argument("version")
@click.option("--agent", help="Which agent, where a version's name is not unique.")
@click.option("--json", "_as_json", is_flag=True, help="It is JSON in any case.")
@click.pass_obj
def models_show(settings: Settings, version: str, agent: str | None, _as_json: bool) -> None:
    """One version with its metadata, and what happened to it later, as JSON."""
    entry = registry.show(settings.models_dir, *layout.resolve(settings.models_dir, version, agent))
    click.echo(json.dumps({**entry.as_json(), **_later(settings, entry)}, indent=2))


@models.command("compare")
@click.argument("old")
@click.argument("new")
@click.option("--agent", help="Which agent, where a version's name is not unique.")
@click.option(
    "--export", type=FILE, help="Log to replay through both, to see where they would have alerted differently."
)
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON.")
@click.pass_obj
def models_compare(
    settings: Settings, old: str, new: str, agent: str | None, export: Path | None, as_json: bool
) -> None:
    """What differs between two versions: settings, figures, and with --export their alerts."""
    entries = [
        registry.show(settings.models_dir, *layout.resolve(settings.models_dir, name, agent)) for name in (old, new)
    ]
    if entries[0].agent != entries[1].agent:
        raise ConfigError(f"models: {entries[0].model_id} and {entries[1].model_id} watch different things")
    told = shown_difference(*entries)
    if export is not None:
        from trainer.measuring.compare import compare
        from trainer.windows.source import Source

        first, second = (bundled_model(settings.models_dir, entry.agent, entry.version) for entry in entries)
        source = Source([export], None, None)
        with shown_progress() as show:
            span = source.span(lambda share: show("1 of 2: read", share / 2))
            told["replay"] = compare(
                first, second, source, progress=lambda share: show("2 of 2: replay", (1 + share) / 2), span=span
            ).as_json()
    if as_json:
        click.echo(json.dumps(told))
        return
    for name, (was, now) in told["figures"].items():
        click.echo(clean(f"{name:<34} {_short(was):>24} {_short(now):>24}{'' if was == now else '   differs'}"))
    if replay := told.get("replay"):
        click.echo(
            f"same verdict in {replay['same']:,} of {replay['windows']:,} windows; {replay['alerts_gone']} alerts go away, "
            f"{replay['alerts_new']} are new; {replay['incidents_old']} incidents become {replay['incidents_new']}"
        )
        for one in replay["differences"]:
            who = [
                f"{'alert' if s['is_anomaly'] else 'calm'} {s['type'] or ''}".strip() for s in (one["old"], one["new"])
            ]
            click.echo(clean(f"  {one['window_start']} {one['host']:<20} {who[0]} -> {who[1]}"))


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "-" if value is None else str(value)[:24]


@models.command("note")
@click.argument("version")
@click.argument("text")
@click.option("--agent", help="Which agent, where a version's name is not unique.")
@click.pass_obj
def models_note(settings: Settings, version: str, text: str, agent: str | None) -> None:
    """Write TEXT down about a version; it stands in model_registry.json, not in the bundle."""
    agent, version = layout.resolve(settings.models_dir, version, agent)
    catalogue.add_note(settings.models_dir, state_of(settings), agent, version, text, time.time())
    click.echo(f"noted about {layout.model_id(agent, version)}")


@models.command("prune")
@click.option("--keep", default=5, show_default=True, type=click.IntRange(0), help="Versions of each agent that stay.")
@click.option("--older-than-days", type=click.FloatRange(0), help="Remove only versions older than this.")
@click.option("--agent", help="Only this agent's.")
@click.option("--archive", "pack", is_flag=True, help="Compress them into the models folder's archive instead.")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@click.option("--json", "as_json", is_flag=True, help="Print the removed versions as JSON.")
@click.pass_obj
def models_prune(
    settings: Settings,
    keep: int,
    older_than_days: float | None,
    agent: str | None,
    pack: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Remove old versions; never one that is active here, or serves or may serve at a target."""
    now, state = time.time(), state_of(settings)
    before = None if older_than_days is None else now - older_than_days * 86400
    held = catalogue.held(settings.models_dir, state)
    if dry_run:
        gone = registry.prunable(settings.models_dir, keep, agent=agent, before=before, held=held)
    else:
        prune = archive.pack_old if pack else registry.prune
        gone = prune(settings.models_dir, keep, agent=agent, before=before, held=held)
        catalogue.refresh_or_warn(settings.models_dir, state, now)
    if as_json:
        click.echo(json.dumps(gone))
        return
    for model_id in gone:
        click.echo(f"{'would remove' if dry_run else 'archived' if pack else 'removed'} {model_id}")
    if not gone:
        _nothing(settings, "nothing to remove", f"{keep} of each agent and all that serve stay")


@models.command("restore")
@click.argument("model_id", required=False)
@click.pass_obj
def models_restore(settings: Settings, model_id: str | None) -> None:
    """Bring MODEL_ID back from the archive, checked; without it list what is there."""
    if model_id is None:
        names = archive.archived(settings.models_dir)
        for name in names:
            click.echo(name)
        if not names:
            _nothing(settings, "nothing is archived", "`models prune --archive` does that")
        return
    click.echo(f"restored {layout.model_id(*archive.unpack(settings.models_dir, model_id))}")
    catalogue.refresh_or_warn(settings.models_dir, state_of(settings), time.time())
