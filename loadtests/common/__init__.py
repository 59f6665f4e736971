"""What every load test needs: an engine to drive, Locust to drive it, and the sums that must agree."""
