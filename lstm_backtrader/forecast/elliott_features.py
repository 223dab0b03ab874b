"""Elliott waves as features: what the best count says of a bar, free of units and there after the warm-up."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lstm_backtrader.candles import Bars
from lstm_backtrader.errors import ConfigError
from lstm_backtrader.forecast.elliott import DONE
from lstm_backtrader.forecast.registry import FeatureSpec, Floats, feature
from lstm_backtrader.forecast.wave_series import WaveRules, newest_reading, wave_readings

_LONGEST = 100.0  # bars since a pivot that count as 1
_FURTHEST = 20.0  # average true ranges
_LARGEST_RETRACE = 3.0


def _in_ranges(reading: dict[str, Floats], level: str) -> Floats:
    """How far the close lies above a level, in average true ranges; 0 where there is none."""
    away = np.asarray((reading["close"] - reading[level]) / reading["atr"])
    return np.clip(np.nan_to_num(away, nan=0.0, posinf=0.0, neginf=0.0), -_FURTHEST, _FURTHEST)


def _is_wave(wave: int) -> Callable[[dict[str, Floats]], Floats]:
    """+1 or -1, the side of the impulse, in this wave; 0 in others."""
    return lambda reading: np.where(np.abs(reading["wave"]) == wave, np.sign(reading["wave"]), 0.0)


_LINES: dict[str, Callable[[dict[str, Floats]], Floats]] = {
    **{f"wave_{wave}": _is_wave(wave) for wave in range(1, DONE + 1)},
    "confidence": lambda reading: np.sign(reading["wave"]) * reading["confidence"],
    "invalidation": lambda reading: _in_ranges(reading, "invalidation"),
    "target": lambda reading: _in_ranges(reading, "target"),
    "swing": lambda reading: reading["swing"],
    "age": lambda reading: np.minimum(np.nan_to_num(reading["bars_since_pivot"]) / _LONGEST, 1.0),
    "retrace": lambda reading: np.minimum(np.nan_to_num(reading["retrace"]), _LARGEST_RETRACE),
    "hypotheses": lambda reading: reading["n_hypotheses"] / DONE,
}


def _memory(line: str, turn: float = 3.0, span: int = 14, context: int = 384, stride: int = 96) -> int:
    if line not in _LINES:
        raise ConfigError(f"feature 'elliott_wave' has no line '{line}'. It has {', '.join(_LINES)}.")
    return WaveRules.of(turn, span, context, stride).memory


def _newest(bars: Bars, line: str, turn: float, span: int, context: int, stride: int) -> float:
    rules = WaveRules.of(turn, span, context, stride)
    reading = bars.derived(f"newest {rules}", lambda bars: newest_reading(bars, rules))
    if reading is None:
        return np.nan
    known = {name: np.array([value]) for name, value in reading._asdict().items()}
    return float(_LINES[line]({**known, "close": np.log(bars["close"][-1:])})[0])


@feature(memory=_memory, newest=_newest)
def elliott_wave(bars: Bars, line: str, turn: float, span: int, context: int, stride: int) -> Floats:
    """A line of the best Elliott count of the last `context` bars, begun anew every `stride` bars."""
    rules = WaveRules.of(turn, span, context, stride)
    reading = bars.derived(str(rules), lambda bars: wave_readings(bars, rules))
    known = np.isfinite(reading["wave"])
    with np.errstate(invalid="ignore", divide="ignore"):
        values = _LINES[line]({**reading, "close": np.log(bars["close"])})
    return np.where(known, values, np.nan)


def elliott_features() -> tuple[FeatureSpec, ...]:
    """Every line, what `elliott` stands for where features are chosen by text."""
    return tuple(FeatureSpec("elliott_wave", {"line": line}) for line in _LINES)
