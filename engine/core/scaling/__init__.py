"""Policies that decide how many pollers or environments there should be."""
