"""What runs inside forked processes: it imports nothing of the server and nothing of `parent`."""
