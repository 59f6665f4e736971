"""The event source mapping: turns messages of a queue into invocations of a function."""
