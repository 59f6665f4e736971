"""What an operator sees: metrics, logs, status."""
