"""What Locust runs for `engine load`: users and shape from the plan that `LOADTEST_PLAN` points to.

A class for each user of the plan; docs/load-testing.md says how to run it by hand, and on several machines.
"""

from __future__ import annotations

from locust import events

from engine.load.generator.locust_hooks import LocustHooks, shape_class
from engine.load.generator.recorder import Recorder
from engine.load.generator.users import user_classes
from engine.load.planning.plan import Plan

_plan = Plan.from_environment()
_recorder = Recorder(_plan)
_hooks = LocustHooks(_plan, _recorder)
_hooks.listen(events)

# Locust looks for classes among the names of this module.
_users = user_classes(_plan, _recorder)
globals().update(_users)
PlannedShape = shape_class(_hooks, len(_users))
