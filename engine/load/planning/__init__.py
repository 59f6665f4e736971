"""What is to be sent and when, decided before anything runs."""
