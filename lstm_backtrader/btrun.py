"""Backtrader's `btrun` for what is installed: classes by the dotted name of their module, and a futures account.

Backtrader's own takes the path of a file without its ending, ``--strategy path/to/trend:Trend``. This takes also
``--strategy lstm_backtrader.strategies:LSTMFutures:model='models/btc'``, whose quotes a shell takes away, and hands
everything else on as it is.
"""

from __future__ import annotations

import ast
import builtins
import re
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lstm_backtrader.mistakes import told_in_one_line

_NAMED = ("strategy", "st", "signal", "sig", "observer", "ob", "analyzer", "an", "indicator", "ind", "hook")


def main() -> None:
    """The command `btrun`, which takes the place of Backtrader's."""
    with told_in_one_line():
        run_btrun(sys.argv[1:])


def run_btrun(arguments: Sequence[str]) -> None:
    """Run Backtrader's `btrun` with its arguments."""
    from backtrader.btrun import btrun

    btrun([_with_path(text, before) for text, before in zip(arguments, ["", *arguments], strict=False)])


def futures_account(cerebro: Any, **options: Any) -> None:
    """A hook that gives the run a `FuturesBroker`: ``--hook lstm_backtrader.btrun:futures_account:leverage=3``.

    It takes the place of `--cash`, `--commission` and their like.
    """
    from lstm_backtrader.futures.broker import FuturesBroker

    cerebro.setbroker(FuturesBroker(**options))


def _with_path(text: str, before: str) -> str:
    """An argument of `btrun` with the path of a module that is named by dots in place of its name."""
    option, separator, value = text.partition("=") if text.startswith("-") else (before, "", text)
    if option.lstrip("-") not in _NAMED or (text.startswith("-") and not separator):
        return text
    kind, plus, place = value.rpartition("+") if option.lstrip("-") in ("signal", "sig") else ("", "", value)
    module, colon, rest = place.partition(":")
    name, second_colon, keywords = rest.partition(":")
    found = f"{kind}{plus}{_path_of(module)}{colon}{name}{second_colon}{_quoted(keywords)}"
    return f"{option}={found}" if separator else found


def _path_of(module: str) -> str:
    """The file of an importable module without its ending; anything else as it is."""
    is_name = bool(module) and all(part.isidentifier() for part in module.split("."))
    if not is_name or Path(f"{module}.py").exists():
        return module
    try:
        spec = find_spec(module)
    except (ModuleNotFoundError, ValueError):  # the latter of what runs without a file, as `__main__`
        return module
    return module if spec is None or spec.origin is None else str(Path(spec.origin).with_suffix(""))


def _quoted(keywords: str) -> str:
    """Keyword arguments in which whatever Backtrader's `btrun` could not evaluate is text, quotes or none."""
    if _is_evaluable(f"dict({keywords})"):
        return keywords
    pairs = [pair.partition("=") for pair in re.split(r",(?=\s*[^\W\d]\w*\s*=)", keywords)]
    return ",".join(
        f"{name}{equals}{value if not equals or _is_evaluable(value) else repr(value)}"
        for name, equals, value in pairs
    )


def _is_evaluable(expression: str) -> bool:
    """Whether Backtrader's `btrun` knows all that is named."""
    try:
        nodes = list(ast.walk(ast.parse(expression, mode="eval")))
    except SyntaxError:
        return False
    names = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    bound = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    bound |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    return names <= bound | vars(import_module("backtrader.btrun.btrun")).keys() | vars(builtins).keys()
