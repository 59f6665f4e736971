"""What AWS services have in common on the wire."""
