"""CloudWatch Logs: groups, streams and events, in memory."""
