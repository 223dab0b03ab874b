"""``python -m lstm_backtrader`` is `lbt`."""

from lstm_backtrader.cli import main

if __name__ == "__main__":
    main()
