"""Runs functions by Lambda's own Runtime API: one process for each environment, in any language."""
