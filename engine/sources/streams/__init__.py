"""Event source mappings of streams: Kinesis, and the streams of DynamoDB tables, at any endpoint."""
