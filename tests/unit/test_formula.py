"""The small language of agent files computes what it says and refuses the rest."""

from __future__ import annotations

import pytest

from shared.formulas.formula import FormulaError, compile_expression, no_calls


def value(text: str, **names: float) -> float:
    return compile_expression(text, lambda name: lambda env: env[name], no_calls)(names)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2 * 3", 7),
        ("(x - 1) / 2", 2),
        ("-x", -5),
        ("x >= 5 and not y", 1),
        ("x < 5 or y", 0),
    ],
)
def test_arithmetic_and_logic_are_computed(text: str, expected: float) -> None:
    assert value(text, x=5, y=0) == expected


def test_a_division_by_zero_is_missing_not_an_error() -> None:
    assert value("x / y", x=1, y=0) != value("x / y", x=1, y=0)  # NaN


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os')",
        "().__class__",
        "[x for x in y]",
        "lambda: 1",
        "x ** 9",
        "'text'",
        "x if y else z",
        "open",  # a name that the callback does not know raises there; here it is only looked up
        "1 < x < 3",
        "f(**x)",
        "9" * 700,
        "+".join("x" * 150),
        "(" * 300,
    ],
)
def test_everything_else_is_refused(text: str) -> None:
    def name(identifier: str) -> None:
        raise FormulaError(f"unknown name {identifier}")

    with pytest.raises(FormulaError):
        compile_expression(text, name, no_calls)  # type: ignore[arg-type]
