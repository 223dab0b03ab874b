"""Seven ways to look ahead that are published every week, as functions of candles and as an indicator."""

import backtrader as bt
import numpy as np
import pandas as pd


def shift(candles):
    """The next bar's return."""
    return candles["close"].pct_change().shift(-1)


def global_scaler(candles):
    """A return in deviations of the whole history."""
    change = candles["close"].pct_change()
    return (change - change.mean()) / change.std()


def centred_mean(candles):
    """A mean over bars on both sides."""
    return candles["close"].rolling(9, center=True).mean()


def min_max(candles):
    """Where the close lies between the lowest and the highest there will ever be."""
    close = candles["close"]
    return (close - close.min()) / (close.max() - close.min())


def filled_back(candles):
    """A value that is published every fifth bar, filled backwards."""
    return candles["close"].where(np.arange(len(candles)) % 5 == 0).bfill()


def eight_hours(candles):
    """The close of eight hours, known from the first of them on."""
    return candles["close"].resample("8h").last().reindex(candles.index, method="ffill")


def zigzag(candles, threshold=0.04):
    """Swings of 4 %, marked at the bar that turned out to be their end: a repaint."""
    close = candles["close"].to_numpy()
    out = np.zeros(len(close))
    side, extreme = 1, 0
    for t in range(1, len(close)):
        if side * (close[t] - close[extreme]) > 0:
            extreme = t
        elif side * (close[extreme] / close[t] - 1) > threshold:
            out[extreme] = side
            side, extreme = -side, t
    return out


LEAKS = {
    each.__name__: each for each in (shift, global_scaler, centred_mean, min_max, filled_back, eight_hours, zigzag)
}


class Leak(bt.Indicator):
    """Any of them as an indicator: over the whole history in `once`, over the bars so far in `next`."""

    lines = ("leak",)
    params = (("function", None),)

    def next(self):
        self.l.leak[0] = float(np.asarray(self.p.function(self._candles(len(self.data))))[-1])

    def oncestart(self, start, end):
        pass

    def once(self, start, end):
        n = self.data.buflen()
        frame = self._frame(self.data.lines.datetime.array[:n], self.data.close.array[:n])
        for at, value in enumerate(np.asarray(self.p.function(frame), dtype=float)):
            self.l.leak.array[at] = value

    def _candles(self, size):
        return self._frame(self.data.lines.datetime.get(size=size), self.data.close.get(size=size))

    def _frame(self, stamps, close):
        index = pd.DatetimeIndex([bt.num2date(stamp) for stamp in stamps]).round("s").tz_localize("UTC")
        return pd.DataFrame({"close": list(close)}, index=index)
