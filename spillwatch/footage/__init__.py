"""What is done with recorded footage: score it, calibrate by it, compare models over it, backtest whole archives."""
