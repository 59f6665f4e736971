"""The driver of the kernel: time, deadlines, the dispatcher, start and stop."""
