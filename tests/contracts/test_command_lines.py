"""The two command lines as others rely on them: names, flags, defaults, exit codes, and help that explains itself."""

from __future__ import annotations

import re
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from inference.cli import cli as pi
from trainer.cli import cli as trainer

GROUPS = {"pipit-trainer": trainer, "pipit-inference": pi}
PROMISED = {
    "pipit-trainer export": "--dsn --output-file --start-date --end-date --programs --format --json",
    "pipit-trainer validate": "EXPORT --agent --json",
    "pipit-trainer events": "EXPORT --agent --json",
    "pipit-trainer features": "EXPORT --agent --output --json",
    "pipit-trainer train": "EXPORT... --agent --config --set --start-date --end-date --labels --models --json",
    "pipit-trainer tune": "EXPORT... --agent --labels --json",
    "pipit-trainer evaluate": "VERSION --export --labels --json",
    "pipit-trainer models list": "--json",
    "pipit-trainer models show": "VERSION --json",
    "pipit-trainer models compare": "OLD NEW --json",
    "pipit-trainer models prune": "--json",
    "pipit-trainer keys init": "",
    "pipit-trainer keys show": "--json",
    "pipit-trainer ship": "[VERSION] --to --fleet --wait --timeout --force --catch-up --json",
    "pipit-trainer rollback": "[VERSION] --to --json",
    "pipit-trainer targets add": "NAME URL --identity --known-hosts",
    "pipit-trainer targets list": "--json",
    "pipit-trainer serve": "",
    "pipit-inference run": "",
    "pipit-inference web": "",
    "pipit-inference once": "--json",
    "pipit-inference status": "--json",
    "pipit-inference check": "--json",
    "pipit-inference pull": "[VERSION] --json",
    "pipit-inference incidents": "--json",
    "pipit-inference replay": "EXPORT --bundle --json",
    "pipit-inference models list": "--json",
    "pipit-inference models activate": "VERSION --json",
    "pipit-inference models rollback": "--json",
    "pipit-inference models verify": "--json",
}


def commands(
    name: str, command: click.Command, parent: click.Context | None = None
) -> Iterator[tuple[str, click.Command, click.Context]]:
    """Every command below one, itself included, by its full name."""
    context = click.Context(command, info_name=name.split()[-1], parent=parent, **command.context_settings)
    yield name, command, context
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            found = command.get_command(context, each)
            assert found is not None, f"{name} {each} is listed and not there"
            yield from commands(f"{name} {each}", found, context)


ALL = {
    name: (command, context) for top, group in GROUPS.items() for name, command, context in commands(top, group)
}  # one walk imports every command there is


@pytest.mark.parametrize(("name", "words"), PROMISED.items(), ids=PROMISED.keys())
def test_a_promised_command_has_its_arguments_and_flags(name: str, words: str) -> None:
    command, context = ALL[name]
    known = {option for parameter in command.params for option in parameter.opts}
    usage = " ".join(command.collect_usage_pieces(context))
    for word in words.split():
        assert word in known if word.startswith("--") else word in usage.split(), f"{name} {word}"


@pytest.mark.parametrize("name", ALL, ids=ALL.keys())
def test_help_says_what_a_command_and_each_of_its_options_does(name: str) -> None:
    command, context = ALL[name]
    assert command.get_short_help_str(), name
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{name} {parameter.opts[-1]} has no help"
            assert parameter.help.endswith("."), f"{name} {parameter.opts[-1]}: {parameter.help!r} is no sentence"
    text = command.get_help(context)
    assert "Usage:" in text
    assert not re.search(r"/work|/tmp|/root", text), text


@pytest.mark.parametrize("flag", ["-h", "--help"])
@pytest.mark.parametrize("name", ALL, ids=ALL.keys())
def test_help_needs_nothing_but_itself(name: str, flag: str) -> None:
    """Who looks for help may have a wrong setting to mend."""
    top, *rest = name.split()
    wrong = {"TRAINING_MAX_UPLOAD": "much", "INFERENCE_INTERVAL_S": "soon"}
    done = CliRunner().invoke(GROUPS[top], [*rest, flag], prog_name=top, env=wrong)
    assert done.exit_code == 0, done.output
    assert f"Usage: {name}" in done.output


@pytest.mark.parametrize("name", [name for name, (command, _) in ALL.items() if isinstance(command, click.Group)])
def test_a_list_of_commands_says_whole_sentences(name: str) -> None:
    top, *rest = name.split()
    done = CliRunner().invoke(GROUPS[top], [*rest, "--help"], prog_name=top)
    assert not [line for line in done.output.split("Commands:")[1].splitlines() if line.endswith("...")]
