"""One kit for reports that are one HTML file, open without a network and run no script.

- `charts`: lines, dots and bars as SVG text.
- `tables`: the same rows as HTML or as columns of text for a terminal.
- `execution_timeline`, `execution_page`: what happened in a durable execution, as text and as a page.
- `page`: sections, tiles, lists of checks, and the page around them.

It knows nothing of the engine: callers pass numbers and text.
"""
