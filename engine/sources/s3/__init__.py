"""Notifications of buckets as events: of the own store, and of others by webhook."""
