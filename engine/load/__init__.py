"""Load tests: drives functions, an engine or any HTTP URL in an open model, and judges what came of it.

- `planning`: what is to be sent and when: scenarios, profiles, events, and the plan of one run.
- `generator`: what runs in Locust's processes, and counts what the callers saw.
- `running`: starts engine and generator, waits, collects.
- `results`: sums that must agree, limits, verdict, report.

`generator` needs the extra `loadtest`; `engine load` says so before anything of it is imported.
"""
