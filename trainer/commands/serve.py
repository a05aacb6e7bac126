"""`pipit-trainer serve`: the admin pages and the API of this machine."""

from __future__ import annotations

import click

from trainer.config import Settings


@click.command()
@click.option("--bind", help="HOST:PORT (TRAINING_BIND).")
@click.option(
    "--reset-password", is_flag=True, help="Forget the administrator's password, print a one-time token, end."
)
@click.pass_obj
def serve(settings: Settings, bind: str | None, reset_password: bool) -> None:
    """Serve pages and API with gunicorn, on this machine alone until a password is set."""
    from trainer.web import serve as web  # here: gunicorn is of no use to the other commands

    if reset_password:
        click.echo(f"The password is forgotten. Open /setup with this one-time token: {web.forget_password(settings)}")
        return
    web.serve(settings, bind)
