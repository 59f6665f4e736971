"""Deliveries of topics and event buses to their targets, with retries and dead letters."""
