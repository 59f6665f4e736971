"""The sources of the dashboards and rules: what is generated from here is committed beside it."""
