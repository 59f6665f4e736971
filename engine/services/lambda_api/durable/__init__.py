"""Durable executions over the Lambda API: its operations, and what Invoke says of them."""
