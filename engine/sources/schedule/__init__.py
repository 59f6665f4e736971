"""Events by the clock: EventBridge's rate, cron and at expressions."""
