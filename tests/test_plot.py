"""`cerebro.plot()` without a screen: the forecast has a panel of its own, with its thresholds."""

import backtrader as bt
import numpy as np
import pytest

import lstm_backtrader as lbt


@pytest.fixture
def headless():
    """Backtrader's plotting asks for a window when it is imported; the choice comes right after that."""
    import backtrader.plot  # noqa: F401 - its import chooses the window
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    yield plt
    plt.close("all")


class Follow(bt.Strategy):
    params = (("options", {}),)

    def __init__(self):
        self.lstm = lbt.LSTMSignal(self.data, **self.p.options)

    def next(self):
        if self.position.size != self.lstm.signal[0]:
            self.order_target_size(target=self.lstm.signal[0])


def draw(candles, **options):
    """The axes of the only figure, and the strategy."""
    cerebro = bt.Cerebro()
    cerebro.adddata(lbt.CandleFeed(candles, name="BTC"))
    cerebro.addstrategy(Follow, options=options)
    strategy = cerebro.run()[0]
    figures = cerebro.plot(iplot=False, volume=False)
    return figures[0][0].axes, strategy


def panel_of(axes, name):
    """The axes whose legend or label begins with `name`."""
    found = []
    for each in axes:
        legend = each.get_legend()
        texts = [text.get_text() for text in legend.get_texts()] if legend else []
        if any(text.startswith(name) for text in texts):
            found.append((each, texts))
    assert len(found) == 1
    return found[0]


def level_lines(panel):
    """Heights of the horizontal lines drawn across a panel."""
    heights = []
    for line in panel.get_lines():
        if line.get_linestyle() == "--":  # dashed by Backtrader's scheme
            x, y = (np.asarray(values, dtype=float) for values in line.get_data())
            assert x.tolist() == [0, 1]  # the whole width
            assert y[0] == y[1]
            heights.append(float(y[0]))
    return sorted(heights)


@pytest.mark.parametrize(("threshold", "levels"), [(0.25, [-0.25, 0.25]), (0.0, [0.0])])
def test_the_forecast_has_a_panel_of_its_own_with_its_thresholds(
    headless, tiny_artefact, fresh_market, threshold, levels
):
    axes, strategy = draw(fresh_market.iloc[:330], model=str(tiny_artefact), threshold=threshold)
    panel, texts = panel_of(axes, "LSTM")
    assert level_lines(panel) == levels
    [text] = texts
    assert text.splitlines()[0] == f"LSTM (tiny, {threshold:g})"
    assert text.splitlines()[1].startswith("forecast ")
    drawn = {len(line.get_ydata()) for line in panel.get_lines()}
    assert len(strategy.data) in drawn


def test_two_models_have_two_panels(headless, fixed_forecaster, candles):
    class Two(Follow):
        def __init__(self):
            super().__init__()
            lbt.LSTMSignal(self.data, model=fixed_forecaster(0.1), threshold=0.5)

    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(lbt.CandleFeed(candles, name="BTC"))
    cerebro.addstrategy(Two, options={"model": fixed_forecaster(0.9)})
    cerebro.run()
    axes = cerebro.plot(iplot=False)[0][0].axes
    named = [each for each in axes if each.get_legend() and "LSTM" in each.get_legend().get_texts()[0].get_text()]
    assert len(named) == 2
