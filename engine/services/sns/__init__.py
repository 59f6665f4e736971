"""Amazon SNS in memory: topics, subscriptions, and what is published to whom."""
