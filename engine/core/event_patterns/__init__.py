"""Patterns of events: one matcher for event source mappings, rules of EventBridge, filter policies of SNS."""
