"""EventBridge's rate, cron and at expressions, and the moments they stand for."""
