"""Load tests of a running engine. `python -m loadtests.run --help`; README.md says how to read them."""
