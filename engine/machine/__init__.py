"""Reads what the machine has left for this process: descriptors and memory."""
