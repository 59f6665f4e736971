"""Durable executions, live: the driver around `engine.core.durable`, and what keeps them."""
