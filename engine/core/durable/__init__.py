"""Durable executions: what is checkpointed, resumed, timed out and recorded, as a state machine without I/O.

`execution.py` has the machine and its theory of operation; `facts.py` goes in, `commands.py` comes out.
Times are `now_s`: seconds since the Unix epoch, given with each fact.
"""
