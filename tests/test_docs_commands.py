"""The commands in the documents are right: executed where that can be done here, and known to the command line everywhere."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from tests.daemon_process import environment
from tests.doc_blocks import ROOT, Block, blocks, calls
from tests.postgres_server import PostgresServer

GROUPS = {"pipit-trainer": "trainer.cli", "pipit-inference": "inference.cli"}
KINDS = {
    "sh",
    "sh run",
    "sh pi",
    "sh database",
    "sh by-hand",
    "",
    "yaml",
    "json",
    "text",
    "ini",
    "sql",
    "python",
    "nginx",
}


@pytest.mark.parametrize("block", blocks(), ids=lambda block: block.name)
def test_a_block_says_where_it_can_be_carried_out(block: Block) -> None:
    assert block.kind in KINDS, f"{block.name}: {block.kind!r} is none of {sorted(KINDS)}"


@pytest.mark.parametrize("block", [b for b in blocks() if b.kind.startswith("sh")], ids=lambda block: block.name)
def test_the_shell_understands_the_block(block: Block) -> None:
    done = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def command_line(name: str) -> click.Group:
    """The group of a program, with everything that is attached to it when it runs."""
    module = importlib.import_module(GROUPS[name])
    before, sys.argv = sys.argv, [name]
    try:
        getattr(module, "_attach", lambda: None)()
    finally:
        sys.argv = before
    group = module.cli
    assert isinstance(group, click.Group)
    return group


def parse(program: str, words: list[str]) -> None:
    """Let click read the words, down to the last command, without running anything. Raises click.UsageError."""
    command: click.Command = command_line(program)
    context: click.Context | None = None
    rest, name = words, program
    while True:
        context = command.make_context(name, rest, parent=context, resilient_parsing="--help" in rest)
        left = [*context._protected_args, *context.args]
        if not isinstance(command, click.Group) or not left:
            return
        found_name, found, rest = command.resolve_command(context, left)
        assert found is not None
        name, command = str(found_name), found


@pytest.mark.parametrize(
    "block", [b for b in blocks() if not b.kind or b.kind.startswith("sh")], ids=lambda block: block.name
)
def test_every_command_and_option_in_the_block_exists(block: Block) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for program, words in calls(block):
        if program == "make":
            assert [word for word in words if "=" not in word and word not in targets] == [], words
        elif words != ["COMMAND", "--help"]:
            try:
                parse(program, words)
            except click.UsageError as error:
                pytest.fail(f"{block.name}: {program} {' '.join(words)}: {error.format_message()}")


LAPTOP = sorted({block.document for block in blocks("sh run")})


@pytest.mark.slow
@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("document", LAPTOP, ids=lambda path: path.name)
def test_the_laptops_blocks_of_a_document_run_one_after_another(document: Path, tmp_path: Path) -> None:
    script = "".join(block.text for block in blocks("sh run") if block.document == document)
    env = environment(TRAINING_STATE_DIR=tmp_path / "state", HOME=tmp_path, PROJECT=ROOT, PYTHONPATH=ROOT)
    env["PATH"] = f"{sys.prefix}/bin:{env['PATH']}"
    done = subprocess.run(
        ["bash", "-e"], input=script, cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-1500:]


def test_the_databases_blocks_run_one_after_another(own_postgres: PostgresServer) -> None:
    if not any(os.access(Path(folder, "psql"), os.X_OK) for folder in os.get_exec_path()):
        pytest.skip("psql and createdb are not on this machine (Debian: apt install postgresql-client)")
    script = "".join(block.text for block in blocks("sh database"))
    env = environment(PGHOST=own_postgres.host, PGPORT=own_postgres.port, PGUSER="postgres", PGDATABASE="postgres")
    done = subprocess.run(["bash", "-e"], input=script, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "log_entries_by_time" in done.stdout
