"""Events from a file of what happened before: a trace, in its own time or faster."""
