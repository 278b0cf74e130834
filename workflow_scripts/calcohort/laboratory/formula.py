"""Threshold formulas as users write them, read without running any of their text.

A formula is arithmetic over `VARIABLES`: numbers, ``+ - * /``, parentheses, ``min`` and ``max``,
comparisons, and ``a if condition else b``. Anything else is refused.
"""

import ast
import math
import operator
from collections.abc import Mapping

from calcohort.outcomes import UserError

VARIABLES = ("Lm", "sd", "outflow", "k")
LONGEST = 200
BINARY = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
COMPARISONS = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
FUNCTIONS = {"min": min, "max": max}


def parse(name: str, formula: str) -> ast.expr:
    """Parse and check the formula of a rule.

    Raises
    ------
    UserError
        When it is not such a formula; names the rule and what is wrong.
    """
    if len(formula) > LONGEST:
        raise UserError(f"config: laboratory.rules.{name}: longer than {LONGEST} characters")
    try:
        tree = ast.parse(formula.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UserError(f"config: laboratory.rules.{name}: '{formula}' is no formula") from error
    _check(name, tree)
    return tree


def check_formulas(formulas: Mapping[str, str | float]) -> None:
    """Parse all formulas of a study, for their mistakes alone; see `parse`."""
    for name, formula in formulas.items():
        parse(name, str(formula))


def evaluate(name: str, tree: ast.expr, values: Mapping[str, float]) -> float:
    """Threshold in HU of a parsed formula.

    Raises
    ------
    UserError
        When the result is not a finite number, for instance after a division by 0.
    """
    try:
        result = float(_value(tree, values))
    except (ZeroDivisionError, OverflowError):
        result = math.nan
    if not math.isfinite(result):
        given = ", ".join(f"{key} = {value:g}" for key, value in values.items())
        raise UserError(f"config: laboratory.rules.{name}: no finite threshold at {given}")
    return result


def _check(name: str, tree: ast.expr) -> None:
    match tree:
        case ast.Constant(value=int() | float()) if not isinstance(tree.value, bool):
            parts = []
        case ast.Name(id=variable) if variable in VARIABLES:
            parts = []
        case ast.BinOp(left=left, op=op, right=right) if type(op) in BINARY:
            parts = [left, right]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            parts = [operand]
        case ast.IfExp(test=ast.Compare(left=left, ops=[op], comparators=[right])) if (
            type(op) in COMPARISONS
        ):
            parts = [left, right, tree.body, tree.orelse]
        case ast.Call(func=ast.Name(id=function), args=parts, keywords=[]) if (
            function in FUNCTIONS and len(parts) > 1
        ):
            pass
        case _:
            raise UserError(
                f"config: laboratory.rules.{name}: '{ast.unparse(tree)}' is not allowed; a formula "
                f"has numbers, {', '.join(VARIABLES)}, + - * /, min, max, and a if b < c else d"
            )
    for part in parts:
        _check(name, part)


def _value(tree: ast.expr, values: Mapping[str, float]) -> float:
    match tree:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=variable):
            return values[variable]
        case ast.BinOp(left=left, op=op, right=right):
            return BINARY[type(op)](_value(left, values), _value(right, values))
        case ast.UnaryOp(operand=operand):
            return -_value(operand, values)
        case ast.IfExp(test=ast.Compare(left=left, ops=[op], comparators=[right])):
            holds = COMPARISONS[type(op)](_value(left, values), _value(right, values))
            return _value(tree.body if holds else tree.orelse, values)
        case ast.Call(func=ast.Name(id=function), args=arguments):
            return FUNCTIONS[function](*(_value(a, values) for a in arguments))
    raise TypeError(f"{ast.dump(tree)} was not checked")
