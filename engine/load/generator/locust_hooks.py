"""Ties one Locust process to a run: begins and ends the load, passes counts on, writes the result."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any, Final

import gevent
from gevent.pywsgi import WSGIServer
from locust import LoadTestShape
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner
from prometheus_client import make_wsgi_app

from engine.load.generator.findings import findings, missed_so_far, stage_row
from engine.load.generator.live_metrics import registry
from engine.load.generator.recorder import COLUMNS, SUCCESS, Recorder
from engine.load.metric_catalogue import OUTCOMES
from engine.load.planning.plan import PROGRESS, Plan
from engine.load.results.knee import why_broken

_LEAD_S: Final = 0.5
"""From the start of the run to the beginning of the load: users have to be there by then."""

_MAX_ANSWER_WAIT_S: Final = 60.0
"""How long after the end of the load answers are waited for."""

_END: Final = "loadtest_end"
"""Message of the master to the workers: nothing more is to be sent."""

_DONE: Final = "loadtest_done"
"""Message of a worker to the master: everything is answered; with its last counts."""

_LINES: Final = 100
"""Lines of progress of a long run; of a short one there is one each second."""

_LOOK_S: Final = 1.0
"""How often objectives are looked at."""

_CPU_WINDOW_S: Final = 5.0
_MIN_CPU_WINDOW_S: Final = 1.0


class LocustHooks:
    """The listeners of Locust's events; they fill a recorder."""

    def __init__(self, plan: Plan, recorder: Recorder) -> None:
        self.plan = plan
        self.recorder = recorder
        self._runner: Any = None
        self._next_look_s = 0.0
        self._cpu = 0.0, 0.0  # process time and monotonic time at the beginning of a window

    def listen(self, events: Any) -> None:
        """Register with the events of Locust. Called once, while the locustfile is loaded."""
        events.init.add_listener(self._initialised)
        events.test_start.add_listener(self._started)
        events.test_stop.add_listener(self._stopped)
        events.report_to_master.add_listener(self._report)
        events.worker_report.add_listener(self._reported)

    def elapsed_s(self) -> float:
        """Seconds since the beginning of the load; negative before it."""
        return time.monotonic() - self.recorder.begin_s

    def is_over(self) -> bool:
        """Whether the load has ended and all is answered; ends it when the plan is done or a stage broke."""
        elapsed_s = self.elapsed_s()
        if self.recorder.ended_s is None and (
            elapsed_s >= self.plan.seconds or self._broke(elapsed_s) or self._breached()
        ):
            self._end(min(elapsed_s, self.plan.seconds))
            if isinstance(self._runner, MasterRunner):
                self._runner.send_message(_END, self.recorder.ended_s)
        return self.recorder.done or elapsed_s > self.plan.seconds + _MAX_ANSWER_WAIT_S

    def _end(self, ended_s: float) -> None:
        self.recorder.ended_s = ended_s
        if isinstance(self._runner, WorkerRunner):
            gevent.spawn(self._send_last_counts)

    def _send_last_counts(self) -> None:
        """Send the last counts at once, without waiting for the next report."""
        while not self.recorder.done:
            gevent.sleep(0.1)
        self._measure_cpu()
        self._runner.send_message(_DONE, self.recorder.take())

    def _broke(self, elapsed_s: float) -> bool:
        index = self.plan.stage_at(elapsed_s) - 1  # the last one that is complete
        if self.plan.breaks is None or index < 0:
            return False
        row = stage_row(self.recorder, index, self.plan.breaks.stream)
        return why_broken(row, self.plan.breaks) is not None

    def _breached(self) -> bool:
        """Whether an objective is missed by what was answered until now; looked at once a second."""
        now_s = time.monotonic()
        if not self.plan.stop_on_breach or now_s < self._next_look_s:
            return False
        self._next_look_s = now_s + _LOOK_S
        self.recorder.stopped = missed_so_far(self.recorder)
        return bool(self.recorder.stopped)

    # ---------------------------------------------------------------- Locust's events

    def _initialised(self, environment: Environment, **_: Any) -> None:
        self._runner = environment.runner
        if isinstance(self._runner, WorkerRunner):
            self._runner.register_message(_END, lambda msg, **_: self._end(msg.data))
            return
        if isinstance(self._runner, MasterRunner):
            self._runner.register_message(_DONE, lambda msg, **_: self.recorder.merge(msg.data, msg.node_id))
        if not self.plan.metrics_port:
            return
        page = make_wsgi_app(registry(self.recorder))
        server = WSGIServer(("127.0.0.1", self.plan.metrics_port), page, log=None)
        server.start()

    def _started(self, environment: Environment, **_: Any) -> None:
        self.recorder.begin_s = time.monotonic() + _LEAD_S
        gevent.spawn(self._watch_cpu)
        if not isinstance(environment.runner, WorkerRunner):
            gevent.spawn(self._print_progress)

    def _report(self, client_id: str, data: dict[str, Any]) -> None:
        self._measure_cpu()
        data["loadtest"] = self.recorder.take()

    def _reported(self, client_id: str, data: dict[str, Any]) -> None:
        if "loadtest" in data:
            self.recorder.merge(data["loadtest"], client_id)

    def _stopped(self, environment: Environment, **_: Any) -> None:
        self._measure_cpu()
        if isinstance(environment.runner, WorkerRunner):
            return
        document = findings(self.recorder)
        Path(self.plan.result).write_text(json.dumps(document), encoding="utf-8")

    # ---------------------------------------------------------------- CPU

    def _watch_cpu(self) -> None:
        gevent.sleep(_LEAD_S)
        self._cpu = time.process_time(), time.monotonic()
        while self.recorder.ended_s is None:
            gevent.sleep(_CPU_WINDOW_S)
            self._measure_cpu()

    def _measure_cpu(self) -> None:
        """Of a window that is long enough to say something: the share of a core that this process used."""
        now = time.process_time(), time.monotonic()
        used_s, took_s = now[0] - self._cpu[0], now[1] - self._cpu[1]
        if self._cpu[1] and took_s >= _MIN_CPU_WINDOW_S:
            self.recorder.cpu_percent = max(self.recorder.cpu_percent, round(100 * used_s / took_s, 1))
            self._cpu = now

    # ---------------------------------------------------------------- progress

    def _print_progress(self) -> None:
        while self.recorder.ended_s is None:
            gevent.sleep(max(1.0, self.plan.seconds / _LINES))
            elapsed_s = self.elapsed_s()
            sys.stdout.write(f"{PROGRESS}{json.dumps(self._progress(elapsed_s))}\n")
            sys.stdout.flush()

    def _progress(self, elapsed_s: float) -> dict[str, Any]:
        recorder = self.recorder
        # of the last second that is over
        row = recorder.seconds.get(int(elapsed_s) - 1, [0] * len(COLUMNS))
        counts = dict(zip(COLUMNS, row, strict=True))
        return {
            "at_s": round(elapsed_s, 1),
            "left_s": round(max(0.0, self.plan.seconds - elapsed_s), 1),
            "stage": self.plan.stages[self.plan.stage_at(elapsed_s - 1)].name,
            "due": counts["due"],
            "sent": counts["sent"],
            "answered": sum(counts[outcome] for outcome in OUTCOMES),
            "in_flight": recorder.all_in_flight(),
            "p99_ms": recorder.tally(outcome=SUCCESS, measured=True).ms(99),
        }


def shape_class(hooks: LocustHooks, users: int) -> type[LoadTestShape]:
    """The shape that Locust asks: all users are there from the beginning, until the load is over."""

    def tick(_: LoadTestShape) -> tuple[int, float] | None:
        return None if hooks.is_over() else (users, float(users))

    return type("PlannedShape", (LoadTestShape,), {"tick": tick})
