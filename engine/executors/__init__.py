"""What runs an environment: on the event loop, on a thread, in a process."""
