"""EventBridge in memory: buses, rules, targets and schedules of rules."""
