"""Tuning: a search over model, features and strategy that never sees the span its winner is judged on."""
