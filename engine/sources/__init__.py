"""Where events come from: one folder or file a source."""
