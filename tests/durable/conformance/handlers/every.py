"""All suites as one function: few environments do for all of them."""

from __future__ import annotations

import callback
import child
import invoke
import map as maps
import parallel
import plugin
import step
import wait
import wait_for_callback
import wait_for_condition
from suite import Suite

handler = Suite(
    *(module.handler for module in (step, wait, child, callback, invoke)),
    *(module.handler for module in (wait_for_condition, wait_for_callback, parallel, maps, plugin)),
)
