"""Pure rules and values: no I/O, no clock, no asyncio. Time comes in as `now_s`, monotonic seconds."""
