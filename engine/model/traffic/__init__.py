"""How requests arrive: shapes and made-up populations (traces are read by `sources/replay`).

- `shapes`: `parse_shape` reads `poisson:50` and the like; `arrivals` draws the seconds of the requests.
- `synthetic`: `applications` makes a population with the published facts of a large cloud.
"""
