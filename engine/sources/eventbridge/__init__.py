"""Events of EventBridge: rules whose targets are functions."""
