"""What every load test needs: an engine to drive, Locust to drive it, and the counts that must agree."""
