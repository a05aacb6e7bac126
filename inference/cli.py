"""`pipit-inference`: the commands of the Pi. Wiring only; what a command needs is imported when it runs."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shared.command import LazyGroup
from shared.config import environ
from shared.errors import RequestError
from shared.logs import setup_logging

if TYPE_CHECKING:
    from inference.config import Settings

# Commands of other files: the daemon's own start must not pay for importing them.
LAZY = {"incidents": "inference.commands.incidents:incidents", "models": "inference.commands.models:models"}
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


@click.group(cls=LazyGroup, lazy=LAZY, context_settings=CONTEXT)
@click.option("--config", type=click.Path(path_type=Path, dir_okay=False), help="YAML file with settings.")
@click.option("--state-dir", type=click.Path(path_type=Path), help="Folder of what must survive (INFERENCE_STATE_DIR).")
@click.option("--database-url", help="postgresql://… or sqlite:///FILE (INFERENCE_DATABASE_URL).")
@click.option(
    "--inbox", type=click.Path(path_type=Path), help="Folder that trainers write bundles into (INFERENCE_INBOX)."
)
@click.option("--log-level", help="DEBUG, INFO, WARNING or ERROR.")
@click.version_option(package_name="pipit", prog_name="pipit-inference")
@click.pass_context
def cli(context: click.Context, /, config: Path | None, **flags: Any) -> None:
    """Judge log rows with the models that trainers ship here."""
    context.obj = _Given(config, flags)


@dataclass(frozen=True)
class _Given:
    """What was said before the command's name; called, it gives the settings and sets logging up."""

    config: Path | None
    flags: dict[str, Any]

    def __call__(self) -> Settings:
        from inference.config import load_settings

        settings = load_settings(self.config, environ(), self.flags)
        setup_logging(settings.log_level, settings.log_file)
        return settings


@cli.command()
@click.pass_obj
def run(load: _Given) -> None:
    """Serve until SIGTERM: take models in, judge new rows. SIGHUP reads the settings again."""
    from inference.run import become_daemon

    load()  # faults in the settings are said here
    become_daemon(load.config, load.flags)


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@click.pass_obj
def once(load: _Given, as_json: bool) -> None:
    """Take models in and judge everything that waits, once; then end."""
    from inference.commands.once import run_once

    report = run_once(load())
    if as_json:
        click.echo(json.dumps(report))
    elif report["models"]:
        click.echo(_once_text(report))
    if not report["models"]:
        raise RequestError("once: no model serves; ship one, then try again (the rows wait)")


def _once_text(report: dict[str, Any]) -> str:
    models = ", ".join(f"{agent} {version}" for agent, version in report["models"].items())
    return f"{models}: {report['rows']} rows, {report['windows']} windows judged, {report['anomalies']} anomalies"


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@click.pass_obj
def status(load: _Given, as_json: bool) -> int:
    """What the daemon last said, which models serve, what was found in the last day."""
    from inference.commands.report import status_report, status_text

    report = status_report(load())
    click.echo(json.dumps(report) if as_json else status_text(report))
    return 0


@cli.command()
@click.argument("version", required=False)
@click.option("--agent", help="Which agent, where a version's name is not unique.")
@click.option("--check", "check_only", is_flag=True, help="Only see whether the trainer answers and takes the token.")
@click.option("--timeout", default=60.0, show_default=True, help="Seconds to wait for the daemon to take it in.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@click.pass_obj
def pull(load: _Given, version: str | None, agent: str | None, check_only: bool, timeout: float, as_json: bool) -> None:
    """Fetch VERSION (or `latest`) from the trainer and activate it; without VERSION list what the trainer has."""
    from inference.commands.pull import check_trainer, list_offers, pull_version

    settings = load()
    if check_only:
        check_trainer(settings, as_json)
    elif version is None:
        list_offers(settings, agent, as_json)
    else:
        pull_version(settings, version, agent, timeout, as_json)


@cli.command()
@click.argument("export", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--bundle", required=True, type=click.Path(path_type=Path), help="Folder of the bundle.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per verdict on stdout.")
@click.option("--all", "show_all", is_flag=True, help="Without --json: show normal windows too.")
@click.option(
    "--budget", type=click.FloatRange(min=0, min_open=True), help="Incidents per host-week instead of the bundle's."
)
@click.pass_obj
def replay(load: _Given, export: Path, bundle: Path, as_json: bool, show_all: bool, budget: float | None) -> None:
    """Judge an export exactly as the daemon judges the log; with --json every window is one line."""
    from inference.commands.replaying import replay_export, verdict_text

    folder = bundle.resolve()  # a person may name the link `active`; only an inbox's links are never followed
    for verdict in replay_export(load(), export, folder, budget, progress=sys.stderr.isatty()):
        if as_json:
            sys.stdout.write(json.dumps(verdict.as_json()) + "\n")
        elif show_all or verdict.is_anomaly:
            click.echo(verdict_text(verdict))
    sys.stdout.flush()


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
@click.pass_obj
def check(load: _Given, as_json: bool) -> None:
    """Look at database, index, clock, disk, state, inbox, keys and Redis; say what to do about what is wrong."""
    from inference.check import check_all, check_text

    found = check_all(load())
    click.echo(json.dumps([each.as_json() for each in found]) if as_json else check_text(found))
    if wrong := [each.what for each in found if each.state == "wrong"]:
        raise RequestError(f"check: not as it should be: {', '.join(wrong)}; what to do stands beside each")


@cli.command()
@click.option("--bind", help="HOST:PORT (INFERENCE_BIND).")
@click.option(
    "--reset-password", is_flag=True, help="Forget the administrator's password, print a one-time token, end."
)
@click.pass_obj
def web(load: _Given, bind: str | None, reset_password: bool) -> None:
    """Serve pages and API with gunicorn, on this machine alone until a password is set."""
    from dataclasses import replace

    from inference.web import serve

    settings = load()
    if reset_password:
        token = serve.forget_password(settings)
        click.echo(f"The password is forgotten. Open /setup with this one-time token: {token}")
        return
    serve.serve(replace(settings, bind=bind) if bind else settings)


def main() -> None:
    """The console script."""
    from shared.command import run_main

    run_main(cli, "pipit-inference")
