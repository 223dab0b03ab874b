"""Benchmarks: what the plugin costs, against what people write today, checked equal before it is timed.

``make bench`` runs all of them; ``python -m benchmarks --help`` tells the options.
"""
