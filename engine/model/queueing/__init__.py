"""Answers by formulas."""
