"""`LSTMSignal`: a trained forecaster as a Backtrader indicator, the same number in every mode."""

from __future__ import annotations

import logging
from array import array
from difflib import get_close_matches
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lstm_backtrader.candles import COLUMNS, Bars, show_time
from lstm_backtrader.errors import ConfigError
from lstm_backtrader.forecast.labels import scaled_return
from lstm_backtrader.forecast.protocol import FORECAST_COLUMNS, ForecastPoint, check_forecast
from lstm_backtrader.forecast.quality import correlation
from lstm_backtrader.indicators.models import as_forecaster, predict
from lstm_backtrader.indicators.tape import Tape

logger = logging.getLogger(__name__)

_EVER = np.iinfo(np.int64)


class LSTMSignal(bt.Indicator):
    """Forecast of the bar that just closed, as lines.

    * `signal`: +1, -1 or 0: forecast at or above `threshold`, at or below its negative, in between. 0, never
      NaN, where there is no forecast.
    * `forecast`: expected return over the model's horizon, in units of its volatility; of a model of three classes
      p(up) - p(down).
    * `prob_up`: probability in [0, 1] that it is positive; of three classes, that it pays for its costs.
    * `spread`: disagreement of the ensemble, in units of `forecast`.
    * `lo`, `hi`: an interval around the forecast that held nine returns in ten on validation, in units of
      `forecast`; NaN where the model knows none.

    `model`: directory of an artefact, or any `Forecaster`. `threshold`: None takes the model's own.
    `allow_insample`: forecast also bars the model was trained on, which says nothing about the future.
    `stamps`: whether the data labels bars by their "open" or "close". None takes the open, and the close where
    Backtrader's own `resampledata` made the bars, which is refused where it may have mixed them up;
    `lstm_backtrader.resample` and `replay` need no word.
    """

    lines = ("signal", *FORECAST_COLUMNS, "lo", "hi")
    params = (("model", None), ("threshold", None), ("allow_insample", False), ("stamps", None))
    plotinfo: Any = {"subplot": True, "plotname": "LSTM"}  # Backtrader makes an object of it
    plotlines = {name: {"_plotskip": True} for name in lines if name != "forecast"}  # the thresholds show it

    def __init__(self, *given: object, **unknown: object) -> None:
        self._check_call(given, list(unknown))  # Backtrader has taken the datas and its parameters out
        self.forecaster = as_forecaster(self.p.model)
        own = float(getattr(self.forecaster, "threshold", 0.0))
        self.threshold = own if self.p.threshold is None else float(self.p.threshold)
        if not self.threshold >= 0:
            raise ConfigError(f"threshold {self.threshold} is below 0. Use 0 or more, in units of the forecast.")
        by_bar = getattr(self.forecaster, "threshold_at", None)  # of a schedule of models: each has its own
        self._threshold_at = by_bar if self.p.threshold is None else None
        self._expired_at = getattr(self.forecaster, "expired_at", None)
        self._half_width_at = getattr(self.forecaster, "half_width_at", None)
        width = getattr(self.forecaster, "half_width", None)
        self.half_width = np.nan if width is None else float(width)
        columns = tuple(getattr(self.forecaster, "columns", COLUMNS))
        step_s = round(pd.Timedelta(self.forecaster.timeframe).total_seconds())
        self.tape = Tape(self.data, columns, step_s, self.p.stamps)
        self.valid_from = _nanoseconds(getattr(self.forecaster, "valid_from", None), default=_EVER.min)
        self.valid_until = _nanoseconds(getattr(self.forecaster, "valid_until", None), default=_EVER.max)
        self._stream = self.forecaster.stream()
        self._suppressed: set[int] = set()
        self._forecast_at: dict[int, float] = {}  # of `next`, where a forming bar may come twice
        self._said: tuple[NDArray[np.int64], NDArray[np.float64]] | None = None  # of `once`: times and forecasts
        self._has_warned = False
        self.addminperiod(self.forecaster.warmup)

    def _check_call(self, given: tuple[object, ...], unknown: list[str]) -> None:
        known = list(self.p._getkeys())
        if given:
            raise ConfigError(
                f"LSTMSignal takes its parameters by name: LSTMSignal(data, model=...), not {given[0]!r} by place."
            )
        if unknown:
            meant = get_close_matches(unknown[0], known, n=1)
            remedy = f"Did you mean {meant[0]}?" if meant else f"It takes {', '.join(known)}."
            raise ConfigError(f"LSTMSignal has no parameter '{unknown[0]}'. {remedy}")

    def _plotlabel(self) -> list[str]:
        return [getattr(self.forecaster, "name", type(self.forecaster).__name__), f"{self.threshold:.3g}"]

    def _plotinit(self) -> None:
        self.plotinfo.plothlines = sorted({-self.threshold, self.threshold})

    def prenext(self) -> None:
        self.l.signal[0] = 0.0

    def next(self) -> None:
        time = self.tape.now()
        point = self._stream.update(self.tape.last)
        if self._is_suppressed(np.array([time]))[0]:
            if not self._suppressed:
                logger.info("bars before %s or from %s on get no forecast", *self._validity())
            self._suppressed.add(time)
            point = ForecastPoint(np.nan, np.nan, np.nan)
        elif not np.isnan(point.forecast):
            self._forecast_at[time] = point.forecast
        for name, value in zip(FORECAST_COLUMNS, point, strict=True):
            getattr(self.l, name)[0] = value
        width = self._half_widths(np.array([time]))
        for name, side in (("lo", -1), ("hi", 1)):
            getattr(self.l, name)[0] = point.forecast + side * float(width[0])
        self.l.signal[0] = float(self._signal(np.array([point.forecast]), np.array([time]))[0])

    def preonce(self, start: int, end: int) -> None:
        """Nothing: `once` fills every bar."""

    def oncestart(self, start: int, end: int) -> None:
        """Nothing: `once` fills every bar."""

    def once(self, start: int, end: int) -> None:
        """All bars at once; lines before the warm-up stay without forecast, as they do in `next`."""
        bars = self.tape.everything()
        forecast = {name: np.full(len(bars), np.nan) for name in FORECAST_COLUMNS}
        first = self.forecaster.warmup - 1
        suppressed = self._is_suppressed(bars.open_time)
        if len(bars) > first:
            candles = _frame(bars)
            predicted = check_forecast(predict(self.forecaster, candles), candles, self.forecaster)
            for name in FORECAST_COLUMNS:
                values = predicted[name].to_numpy(np.float64)
                forecast[name][first:] = np.where(suppressed, np.nan, values)[first:]
        self._note_once(bars.open_time[first:], suppressed[first:], forecast["forecast"][first:])
        width, said = self._half_widths(bars.open_time), forecast["forecast"]
        interval = {"lo": said - width, "hi": said + width}
        lines = {"signal": self._signal(said, bars.open_time), **forecast, **interval}
        for name, values in lines.items():
            np.frombuffer(getattr(self.l, name).array)[: len(values)] = values

    # Backtrader's own of these make a call a line and bar or more, 5 % of a plain backtest

    def __len__(self) -> int:
        count: int = self.l.lines[0].lencount
        return count

    def forward(self, value: float = np.nan, size: int = 1) -> None:
        """Room for `size` more bars."""
        room = array("d", (value,)) * size
        for line in self.l.lines:
            line.idx += size
            line.lencount += size
            line.array.extend(room)

    def advance(self, size: int = 1) -> None:
        """One bar on after `once`, where lines are whole arrays."""
        for line in self.l.lines:
            line._idx += size
            line.lencount += size

    def _signal(self, forecast: NDArray[np.float64], times: NDArray[np.int64]) -> NDArray[np.float64]:
        threshold = self._threshold_at(times) if self._threshold_at else self.threshold
        beyond = (np.abs(forecast) >= threshold) & ~np.isnan(forecast)
        return np.where(beyond, np.sign(forecast), 0.0)

    def _half_widths(self, times: NDArray[np.int64]) -> NDArray[np.float64]:
        return self._half_width_at(times) if self._half_width_at else np.full(len(times), self.half_width)

    def _is_suppressed(self, times: NDArray[np.int64]) -> NDArray[np.bool_]:
        insample = np.zeros(len(times), dtype=bool) if self.p.allow_insample else times < self.valid_from
        expired = self._expired_at(times) if self._expired_at else times >= self.valid_until
        return np.logical_or(insample, expired)

    def _note_once(
        self, times: NDArray[np.int64], suppressed: NDArray[np.bool_], forecast: NDArray[np.float64]
    ) -> None:
        self._suppressed = set(times[suppressed].tolist())
        known = ~np.isnan(forecast)
        self._said = times[known], forecast[known]
        if self._suppressed:
            logger.info("%s", self.suppression())
        self.warn_of_none()

    def warn_of_none(self) -> None:
        """Log a warning if no bar has a forecast, once; `lstm_backtrader.run` asks after a run bar by bar."""
        if not len(self._forecasts()[0]) and not self._has_warned:
            self._has_warned = True
            logger.warning("no bar has a forecast. %s", self.suppression())

    def _forecasts(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Open times and forecasts of the bars that have one, (N,) each."""
        if self._said is not None:
            return self._said
        return np.array([*self._forecast_at], dtype=np.int64), np.array([*self._forecast_at.values()])

    def _validity(self) -> tuple[str, str]:
        begin = "ever" if self.valid_from == _EVER.min else show_time(self.valid_from)
        end = "ever" if self.valid_until == _EVER.max else show_time(self.valid_until)
        return begin, end

    def suppression(self) -> str:
        """Why bars have no forecast, in one line for the log and the report."""
        begin, end = self._validity()
        if self._suppressed:
            return (
                f"{len(self._suppressed)} bars suppressed: the model is valid from {begin} until {end}. "
                f"Backtest later bars, or pass allow_insample=True to see its fit."
            )
        bars = max(len(self.data), self.data.buflen())  # in `once` none has been delivered yet
        if bars < self.forecaster.warmup:
            return f"{bars} bars are too few, the warm-up takes {self.forecaster.warmup}. Give more history."
        return (
            f"The {bars} bars are enough for the warm-up of {self.forecaster.warmup}, but at least "
            f"{self.tape.missing()} are missing between them, or columns hold NaN. Fill the gaps at their source."
        )

    def forecast_summary(self, start: pd.Timestamp | None = None) -> dict[str, Any]:
        """What the report says of the forecasts from `start` on (UTC; None: all).

        `ic`: Pearson correlation with the label, where the forecaster has one and the history is still in
        memory. `in_sample`: forecast bars the model was trained on. `horizon`, `spans` and `training` are the
        forecaster's, where it has them.
        """
        begin = _nanoseconds(start, default=_EVER.min)
        times, forecast = self._forecasts()
        times, forecast = times[times >= begin], forecast[times >= begin]
        return {
            "model": getattr(self.forecaster, "name", type(self.forecaster).__name__),
            "first_forecast": show_time(int(times.min())) if len(times) else None,
            "bars": len(times),
            "suppressed_bars": sum(time >= begin for time in self._suppressed),
            "in_sample": int((times < self.valid_from).sum()),
            "ic": self._ic(times, forecast),
            "seam": getattr(self.forecaster, "seam", None),
            **self._thresholds(times),
            "horizon": getattr(self.forecaster, "horizon", None),
            "spans": [
                [name, begin.isoformat(), end.isoformat()]
                for name, begin, end in getattr(self.forecaster, "spans", ())
            ],
            "training": getattr(self.forecaster, "training", None),
        }

    def _thresholds(self, times: NDArray[np.int64]) -> dict[str, float | str]:
        if self._threshold_at is None:
            return {"threshold": self.threshold}
        used = self._threshold_at(times) if len(times) else np.array([self.threshold])
        return {"thresholds": f"{used.min():.4f} to {used.max():.4f}, each model its own"}

    def _ic(self, times: NDArray[np.int64], forecast: NDArray[np.float64]) -> float | None:
        horizon = getattr(self.forecaster, "horizon", None)
        bars = self.tape.last(len(self.data))
        if horizon is None or len(bars) < len(self.data) or len(times) == 0:
            return None
        label = scaled_return(bars, horizon)
        return correlation(forecast, label[np.searchsorted(bars.open_time, times)])


def _frame(bars: Bars) -> pd.DataFrame:
    index = pd.DatetimeIndex(pd.to_datetime(bars.open_time, unit="ns", utc=True), name="open_time")
    return pd.DataFrame(dict(bars.columns), index=index)


def _nanoseconds(time: object, default: int) -> int:
    if time is None:
        return default
    stamp = pd.Timestamp(time)  # type: ignore[arg-type]  # whatever a user's forecaster offers
    stamp = stamp.tz_localize("UTC") if stamp.tz is None else stamp
    return stamp.as_unit("ns").value
