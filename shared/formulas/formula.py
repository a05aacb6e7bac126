"""Small, safe expressions of agent files: a feature's formula, a rule's condition.

The text is parsed with `ast` and turned into a tree of closures; nothing is ever handed to `eval`, so an agent file that
came from an attacker can at worst be refused. What a name or a call means is decided by the two callbacks.

    >>> double = compile_expression("2 * x + 1", name=lambda n: lambda env: env[n], call=no_calls)
    >>> double({"x": 3.0})
    7.0
"""

from __future__ import annotations

import ast
import keyword
import math
import operator
import re
from collections.abc import Callable
from typing import Any

Evaluate = Callable[[Any], float]
OnName = Callable[[str], Evaluate]
OnCall = Callable[[str, list[ast.expr], dict[str, ast.expr]], Evaluate]

MAX_LENGTH = 600
MAX_NODES = 200
_WORDS = {"and", "or", "not"}  # Python's reserved words that mean something here

_COMPARE: dict[type[ast.cmpop], Callable[[float, float], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}


class FormulaError(ValueError):
    """The text is not an expression of the small language; the message says which part and why."""


def no_calls(function: str, _args: list[ast.expr], _named: dict[str, ast.expr]) -> Evaluate:
    """An `OnCall` for expressions that may call nothing."""
    raise FormulaError(f"unknown function {function!r}")


def _divide(a: float, b: float) -> float:
    return a / b if b else math.nan


def _times(a: float, b: float) -> float:
    return a * b


_ARITHMETIC: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: _times,
    ast.Div: _divide,
}


def parse(text: str) -> ast.expr:
    """The expression tree of `text`, or FormulaError. Length and size are bounded before anything is walked."""
    if len(text) > MAX_LENGTH:
        raise FormulaError(f"longer than {MAX_LENGTH} characters")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reserved = sorted({word for word in re.findall(r"\w+", text) if keyword.iskeyword(word)} - _WORDS)
        why = f"; {', '.join(reserved)} cannot be a name here, choose another" if reserved else ""
        raise FormulaError(f"not an expression: {getattr(error, 'msg', error)}{why}") from None
    if sum(1 for _ in ast.walk(tree)) > MAX_NODES:
        raise FormulaError(f"more than {MAX_NODES} parts")
    return tree


def compile_expression(text: str, name: OnName, call: OnCall) -> Evaluate:
    """A closure that computes `text` for an environment; comparisons and `and`/`or`/`not` give 1.0 or 0.0."""
    return build(parse(text), name, call)


def build(node: ast.expr, name: OnName, call: OnCall) -> Evaluate:
    match node:
        case ast.Constant(value=bool()) | ast.Constant(value=str()):
            raise FormulaError(f"{ast.unparse(node)} is not a number")
        case ast.Constant(value=int() | float() as number):
            value = float(number)
            return lambda env: value
        case ast.Name(id=identifier):
            return name(identifier)
        case ast.Call(func=ast.Name(id=function), args=args, keywords=keywords):
            named = {word.arg: word.value for word in keywords if word.arg is not None}
            if len(named) != len(keywords):
                raise FormulaError("** is not allowed")
            return call(function, args, named)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
            return _binary(_ARITHMETIC[type(op)], build(left, name, call), build(right, name, call))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            inner = build(operand, name, call)
            return lambda env: -inner(env)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            inner = build(operand, name, call)
            return lambda env: 0.0 if inner(env) else 1.0
        case ast.BoolOp(op=op, values=values):
            return _boolean(isinstance(op, ast.And), [build(value, name, call) for value in values])
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARE:
            return _comparison(_COMPARE[type(op)], build(left, name, call), build(right, name, call))
    raise FormulaError(f"{ast.unparse(node)!r} is not allowed here")


def _binary(apply: Callable[[float, float], float], left: Evaluate, right: Evaluate) -> Evaluate:
    return lambda env: apply(left(env), right(env))


def _comparison(holds: Callable[[float, float], bool], left: Evaluate, right: Evaluate) -> Evaluate:
    return lambda env: 1.0 if holds(left(env), right(env)) else 0.0


def _boolean(every: bool, parts: list[Evaluate]) -> Evaluate:
    if every:
        return lambda env: 1.0 if all(part(env) for part in parts) else 0.0
    return lambda env: 1.0 if any(part(env) for part in parts) else 0.0


def number(node: ast.expr) -> float:
    """The value of a numeric constant such as `2` or `-1.5`."""
    match node:
        case ast.Constant(value=bool()):
            pass
        case ast.Constant(value=int() | float() as value):
            return float(value)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -number(operand)
    raise FormulaError(f"{ast.unparse(node)!r} is not a number")


def dotted(node: ast.expr) -> str:
    """The text of a name such as `auth_fail` or `auth_fail.noack`."""
    match node:
        case ast.Name(id=identifier):
            return identifier
        case ast.Attribute(value=ast.Name(id=event), attr=kind):
            return f"{event}.{kind}"
    raise FormulaError(f"{ast.unparse(node)!r} is not an event")


def constants(node: ast.expr) -> frozenset[str]:
    """The texts of a list of names and numbers such as `[14, 15, WRONG_KEY]`, or of a single one."""
    nodes = node.elts if isinstance(node, ast.List | ast.Tuple) else [node]
    found = set()
    for element in nodes:
        match element:
            case ast.Name(id=text):
                found.add(text)
            case ast.Constant(value=bool()):
                raise FormulaError("true and false are no values here")
            case ast.Constant(value=int() | str() as value):
                found.add(str(value))
            case _:
                raise FormulaError(f"{ast.unparse(element)!r} is not a value")
    return frozenset(found)
