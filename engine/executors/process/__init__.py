"""Environments that are processes of their own, forked from a zygote; see docs/decisions/0008."""
