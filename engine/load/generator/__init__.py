"""What runs in Locust's processes, by `loadtests/locustfile.py`: users, and counts of what they saw."""
