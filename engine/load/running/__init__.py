"""One run from its first process to its last, and what is collected meanwhile."""
