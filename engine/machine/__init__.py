"""What the machine has left for this process: descriptors and memory, as numbers that are read when asked."""
