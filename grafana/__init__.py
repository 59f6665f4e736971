"""Dashboards and rules for the metrics of the engine; `make dashboards` writes what is generated."""
