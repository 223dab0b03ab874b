"""Studies on real candles that anyone can repeat on his own: ``python -m studies --help``."""
