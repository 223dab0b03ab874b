"""TA-Lib's indicators as one feature, each computed anew over a declared window of bars.

Prices are divided by the newest close of the window and volumes by its mean, so that what comes out is free of
units, and TA-Lib's recursive means begin with the window: what happened before it changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

import numpy as np

from lstm_backtrader.candles import COLUMNS, PRICES, Bars
from lstm_backtrader.errors import ConfigError
from lstm_backtrader.forecast.registry import Floats, feature
from lstm_backtrader.forecast.windows import bars_since

_SETTLING = 10  # windows of this many lookbacks leave less than 1e-4 of a recursive mean's weight before them
_EXACT = """AROON AROONOSC AVGDEV BETA BOP CCI CORREL LINEARREG LINEARREG_ANGLE LINEARREG_INTERCEPT LINEARREG_SLOPE
    MAX MEDPRICE MFI MIDPOINT MIDPRICE MIN MOM ROC ROCP ROCR ROCR100 SMA STDDEV SUM TRANGE TRIMA TSF ULTOSC VAR
    WILLR WMA"""  # of these TA-Lib's own lookback is all they read


@dataclass(frozen=True)
class _Indicator:
    call: Callable[..., Any]
    inputs: tuple[str, ...]
    params: dict[str, int | float]
    output: int
    memory: int

    def newest(self, window: dict[str, Floats]) -> float:
        """The value at the end of a window of `memory` bars; 0 where TA-Lib has none."""
        said = self.call(*(window[name] for name in self.inputs), **self.params)
        value = float((said[self.output] if isinstance(said, tuple | list) else said)[-1])
        return value if np.isfinite(value) else 0.0


def _memory(indicator: str, output: str | None = None, window: int | None = None, **params: int | float) -> int:
    return _find(indicator, output, window, tuple(params.items())).memory


@feature(memory=_memory)
def talib(
    bars: Bars, indicator: str, output: str | None = None, window: int | None = None, **params: int | float
) -> Floats:
    """An indicator of TA-Lib by name, its `output` by name, over `window` bars; needs the extra `talib`."""
    found = _find(indicator, output, window, tuple(params.items()))
    columns = {name: bars[name] for name in found.inputs}
    close = bars["close"]
    broken = ~np.logical_and.reduce([np.isfinite(column) for column in (close, *columns.values())])
    whole = bars_since(broken, found.memory) == found.memory
    out = np.full(len(bars), np.nan)
    for row in range(found.memory - 1, len(bars)):
        if whole[row]:
            rows = slice(row + 1 - found.memory, row + 1)
            out[row] = found.newest(
                {name: column[rows] / _unit(name, column[rows], close[row]) for name, column in columns.items()}
            )
    return out


def _unit(name: str, window: Floats, close: float) -> float:
    unit = close if name in PRICES else float(window.mean())
    return unit if unit > 0 else 1.0


@lru_cache(maxsize=256)
def _find(
    indicator: str, output: str | None, window: int | None, params: tuple[tuple[str, int | float], ...]
) -> _Indicator:
    """TA-Lib's function with checked parameters. Raises `ConfigError`."""
    library = _library()
    if indicator not in library.get_functions():
        raise _unknown("indicator", indicator, library.get_functions(), "TA-Lib")
    info = library.abstract.Function(indicator).info
    inputs = tuple(
        name for each in info["input_names"].values() for name in ([each] if isinstance(each, str) else each)
    )
    if not set(inputs) <= set(COLUMNS):
        raise ConfigError(f"TA-Lib's {indicator} reads {', '.join(inputs)}, and bars hold {', '.join(COLUMNS)}.")
    outputs = info["output_names"]
    if output is not None and output not in outputs:
        raise _unknown("output", output, outputs, indicator)
    known = info["parameters"]
    for name in dict(params):
        if name not in known:
            raise _unknown("parameter", name, known, indicator)
    given = {name: float(value) if isinstance(known[name], float) else value for name, value in params}
    try:
        lookback = library.abstract.Function(indicator, **given).lookback
    except TypeError as error:
        raise ConfigError(f"TA-Lib's {indicator}: {error}.") from error
    if lookback < 0:
        shown = ", ".join(f"{name} {value}" for name, value in given.items())
        raise ConfigError(f"TA-Lib's {indicator} refuses {shown}. Its defaults are {dict(known)}.")
    return _Indicator(
        call=getattr(library, indicator),
        inputs=inputs,
        params=given,
        output=outputs.index(output) if output else 0,
        memory=_window(indicator, lookback, window, info),
    )


def _window(indicator: str, lookback: int, window: int | None, info: dict[str, Any]) -> int:
    """The bars it is computed over: those asked for, all it reads, or enough for a recursive mean to settle."""
    flags = info["function_flags"] or ()
    if window is not None:
        if not (isinstance(window, int) and window > lookback):
            raise ConfigError(f"window {window!r}: TA-Lib's {indicator} needs {lookback + 1} bars or more.")
        return window
    if "Output is path-dependent" in flags:
        raise ConfigError(
            f"TA-Lib's {indicator} depends on all bars since the first. Say over how many it counts, as in "
            f"talib:indicator={indicator}:window=168."
        )
    is_exact = indicator in _EXACT.split() or info["group"] == "Pattern Recognition"
    return lookback + 1 if is_exact else _SETTLING * lookback + 1


def _library() -> Any:  # untyped
    try:
        import talib
        import talib.abstract  # an attribute of talib by this alone
    except ImportError as error:
        raise ConfigError(
            "feature 'talib' needs TA-Lib, which is not installed: pip install 'lstm-backtrader[talib]'"
        ) from error
    return talib


def _unknown(kind: str, name: str, known: Any, of: str) -> ConfigError:
    meant = get_close_matches(name, known, n=1)
    remedy = f"Did you mean {meant[0]}?" if meant else f"It has {', '.join(known)}."
    return ConfigError(f"{of} has no {kind} '{name}'. {remedy}")
