"""Stand-ins for what a handler calls, with a set latency and error rate: `engine load --stub`.

- `specification`: what `--stub` says, and how long an answer takes.
- `answers`: the bytes of an answer, in the protocol of the request.
- `server`: the process that answers.
- `running`: starts it, and says how handlers find it.
- `certificates`: the authority that signs for stubbed https upstreams, made for one run.
- `redirect`: what sends a handler's connections there; it runs in the handler's interpreter.
"""
