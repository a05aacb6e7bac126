"""The command somebody typed, as it is typed again: what was given stays, what was worked out is named."""

from __future__ import annotations

import shlex

import click
from click.core import ParameterSource


def again(context: click.Context, name: str, **worked_out: str) -> str:
    """The command line of this context. worked_out: values in place of those that were given (`latest` as a version)."""
    root, words, plain = context.find_root(), [name], []
    for known in (root, context) if root is not context else (context,):
        if known is context and context.command.name:
            words.append(context.command.name)
        for parameter in known.command.params:
            given = known.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE
            value = known.params.get(parameter.name or "")
            if parameter.name in worked_out and known is context:
                value, given = worked_out[parameter.name], True
            if not given or value is None:
                continue
            if isinstance(parameter, click.Argument):
                plain.append(str(value))
            elif isinstance(parameter, click.Option) and parameter.is_flag:
                words.append(parameter.opts[0])
            else:
                words.append(f"{parameter.opts[0]}={value}")
    return shlex.join([*words, *plain])
