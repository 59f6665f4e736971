"""Amazon SQS in memory: queues as a pure state machine, and the wire protocols in front of it."""
