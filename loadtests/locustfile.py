"""What Locust runs for `loadtests.run`: users and shape from the plan that `LOADTEST_PLAN` points to.

A class for each user of the plan; docs/load-testing.md says how to run it by hand, and on several machines.
"""

from __future__ import annotations

from locust import events

from loadtests.common.locust_hooks import LocustHooks, shape_class
from loadtests.common.plan import Plan
from loadtests.common.recorder import Recorder
from loadtests.common.users import user_classes

_plan = Plan.from_environment()
_recorder = Recorder(_plan)
_hooks = LocustHooks(_plan, _recorder)
_hooks.listen(events)

# Locust looks for classes among the names of this module.
_users = user_classes(_plan, _recorder)
globals().update(_users)
PlannedShape = shape_class(_hooks, len(_users))
