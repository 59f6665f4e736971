"""Answers by playing: the live rules and the fast kernel on simulated time."""
