"""Candles to forecast: features, training, artefact and inference; knows no Backtrader."""
