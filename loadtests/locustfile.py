"""What Locust runs for `loadtests.run`: users and shape from the plan that `LOADTEST_PLAN` points to.

A class for each user of the plan; docs/load-testing.md says how to run it by hand, and on several machines.
"""

from __future__ import annotations

from locust import events

from loadtests.common.conduct import Conduct, shape_class
from loadtests.common.plan import Plan
from loadtests.common.recorder import Recorder
from loadtests.common.users import user_classes

_plan = Plan.from_environment()
_recorder = Recorder(_plan)
_conduct = Conduct(_plan, _recorder)
_conduct.listen(events)

# Locust looks for classes among the names of this module.
_users = user_classes(_plan, _recorder)
globals().update(_users)
PlannedShape = shape_class(_conduct, len(_users))
