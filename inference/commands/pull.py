"""`pipit-inference pull`: what the trainer has, whether it can be asked, and fetching one version."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from inference.bundles.trainer_api import Offer, TrainerApi
from inference.commands.asking import ask, open_store
from inference.config import Settings
from inference.pull import choose, fetch
from inference.reconcile import ACTIVATE
from shared.clean import clean


def check_trainer(settings: Settings, as_json: bool) -> None:
    """Does the trainer answer, and take the token?"""
    api = _api(settings)
    release, offers = api.release(), api.offers()
    if as_json:
        click.echo(json.dumps({"url": api.url, "release": release, "models": len(offers)}))
    else:
        click.echo(f"{api.url} answers (Pipit {release}), takes the token, and has {len(offers)} models")


def list_offers(settings: Settings, agent: str | None, as_json: bool) -> None:
    """What the trainer has, newest first, and how each version stands here."""
    offers = [offer for offer in _api(settings).offers() if agent in (None, offer.agent)]
    with open_store(settings) as store:
        here = {(row.agent, row.version): row.state for row in store.bundles()}
        active = {(row.agent, row.version) for row in store.actives()}
    rows = [_row(offer, here, active) for offer in offers]
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        said = row["fault"] or f"serial {row['serial']}, {row['size_bytes'] / 1e6:.1f} MB"
        click.echo(clean(f"{'*' if row['active'] else ' '} {row['model_id']:<32} {row['state']:<10} {said}"))
    if not rows:
        click.echo("the trainer has no model yet")


def pull_version(settings: Settings, reference: str, agent: str | None, timeout_s: float, as_json: bool) -> None:
    """Fetch a version, ask the daemon to activate it, and wait for its answer."""
    api = _api(settings)
    offer = choose(api.offers(), reference, agent)
    with open_store(settings) as store:
        row = store.active(offer.agent)
        known = store.known(offer.agent, offer.version)
        if not (row and known and row.version == offer.version and known.serial == offer.serial):
            fetched = fetch(api, offer, settings.inbox_folder)
            if not as_json and sys.stderr.isatty():
                click.echo(f"{offer.model_id} {'fetched' if fetched else 'lies in the inbox already'}", err=True)
        ask(settings, store, offer.agent, ACTIVATE, offer.version, timeout_s, as_json, by="pull")


def _api(settings: Settings) -> TrainerApi:
    return TrainerApi(settings.trainer_url, settings.trainer_token)


def _row(offer: Offer, here: dict[tuple[str, str], str], active: set[tuple[str, str]]) -> dict[str, Any]:
    at = (offer.agent, offer.version)
    return {
        "model_id": offer.model_id,
        "agent": offer.agent,
        "version": offer.version,
        "serial": offer.serial,
        "size_bytes": offer.size_bytes,
        "fault": offer.fault,
        "state": here.get(at, "new"),
        "active": at in active,
    }
