"""How requests arrive: shapes, published traces, made-up populations.

- `shapes`: `parse_shape` reads `poisson:50` and the like; `arrivals` draws the seconds of the requests.
- `traces`: `read` reads a published trace of a cloud; `TraceFault` says what is wrong with one.
- `synthetic`: `applications` makes a population with the published facts of a large cloud.
"""
