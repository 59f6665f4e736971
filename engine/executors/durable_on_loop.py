"""AWS's SDK for durable functions where handlers run on the loop itself: on virtual time.

The loop stands still while an invocation runs, and the SDK calls its service from threads of its own. So the
handler runs on a thread beside the loop's, and the loop's answers what it and its threads ask until it has
ended: all that changes is changed by the loop's thread, and what that leads to comes when the invocation is
over.

No virtual time passes meanwhile, but the SDK looks at the real clock for branches of a map or parallel that
wait. So it is told times that never come: a branch that waits always ends with its invocation.
"""

from __future__ import annotations

import contextvars
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from queue import Empty, SimpleQueue
from random import Random
from threading import Lock, Thread
from types import FrameType
from typing import Any, Final

from engine.core.durable.service import DurableService
from engine.executors.durable_client import (
    Question,
    Sdk,
    SdkClient,
    is_invocation,
    run_invocation,
    sdk_of,
    shifted,
)
from engine.executors.handler_loader import Loaded

_SDK: Final = "aws_durable_execution_sdk_python"
_NEVER_S: Final = 100 * 366 * 24 * 3600
"""Later than any time that the SDK waits for, which is a year at most."""
_POLL_S: Final = 0.001
"""How often the SDK looks whether its invocation has ended: by itself every tenth of a second."""


class DurableOnLoop:
    """Runs the handlers of one function, the loop's thread at the service of their threads meanwhile."""

    def __init__(self, service: DurableService, wall: Callable[[], float]) -> None:
        self._service = service
        self._wall = wall
        self._own_context = contextvars.Context()

    def connected(self, loaded: Loaded) -> Loaded:
        """`loaded`, run in this way if the SDK made its handler, and no client was given."""
        sdk = sdk_of(loaded.callable)
        if sdk is None:
            return loaded
        return loaded._replace(callable=partial(self._run, loaded.callable, sdk))

    def _run(self, handler: Callable[..., Any], sdk: Sdk, event: Any, context: Any) -> Any:
        if not is_invocation(event):
            return handler(event, context)
        invocation = _Invocation(self._service)
        client = SdkClient(invocation, sdk, _NEVER_S)
        call = partial(run_invocation, handler, sdk, client, _never_due(event), context)
        with _repeatable(f"{event['DurableExecutionArn']} {self._wall()}"):
            return invocation.run(call, self._own_context)


class _Invocation:
    """One invocation and what its threads ask."""

    def __init__(self, service: DurableService) -> None:
        self.service = service
        self._asked: SimpleQueue[Question | None] = SimpleQueue()
        self._is_over = False
        self._value: Any = None
        self._error: BaseException | None = None

    def run(self, call: Callable[[], Any], context: contextvars.Context) -> Any:
        """What `call` returns or raises. It runs on another thread; `context`: for what that asks."""
        Thread(target=self._main, args=(call,), name="durable-handler", daemon=True).start()
        try:
            while (question := self._asked.get()) is not None:
                context.run(_answer, question)
        finally:  # with questions left only if this thread was interrupted
            self._is_over = True
            self._refuse()
        if self._error is not None:
            raise self._error
        return self._value

    def ask(self, question: Question) -> Any:
        """What the question's function returns. Raises what it raises, and TimeoutError. Blocks."""
        question.answered.acquire()
        self._asked.put(question)
        if self._is_over:
            self._refuse()
        question.answered.acquire()
        if question.error is not None:
            raise question.error
        return question.answer

    def _main(self, call: Callable[[], Any]) -> None:
        try:
            self._value = call()
        except BaseException as error:  # noqa: BLE001  # it is raised on the loop's thread
            self._error = error
        finally:
            self._asked.put(None)

    def _refuse(self) -> None:
        """Answer those who ask too late. By several threads at a time: each question is taken by one."""
        while True:
            try:
                question = self._asked.get_nowait()
            except Empty:
                return
            if question is not None:
                question.error = TimeoutError("the invocation was interrupted")
                question.answered.release()


def _answer(question: Question) -> None:
    """Without waiting until it is kept: the loop, which would do that, stands still."""
    try:
        question.answer = question.function()
    except Exception as error:  # noqa: BLE001  # it is raised where it was asked
        question.error = error
    question.answered.release()


def _never_due(event: Mapping[str, Any]) -> dict[str, Any]:
    """The event, with times to come that never come."""
    state = event["InitialExecutionState"]
    operations = [shifted(operation, _NEVER_S * 1000) for operation in state["Operations"]]
    return {**event, "InitialExecutionState": {**state, "Operations": operations}}


class _Jitter(Random):
    """What the SDK has for the module `random`: draws that do not depend on the order of its threads.

    Each is made of the seed, the operation for which it is drawn, and how many it has drawn.
    """

    def __init__(self, seed: str) -> None:
        super().__init__(seed)
        self._seed = seed
        self._lock = Lock()
        self._drawn = Counter[str]()

    def random(self) -> float:
        """From 0 to below 1."""
        operation = _operation_of(sys._getframe(1))
        with self._lock:
            self._drawn[operation] += 1
            seed = f"{self._seed} {operation} {self._drawn[operation]}"
        return Random(seed).random()  # noqa: S311  # jitter


def _operation_of(frame: FrameType | None) -> str:
    """The id of the operation that the SDK is about in that frame; empty if there is none."""
    while frame is not None:
        identifier = getattr(frame.f_locals.get("self"), "operation_identifier", None)
        if identifier is not None:
            return str(identifier.operation_id)
        frame = frame.f_back
    return ""


@contextmanager
def _repeatable(seed: str) -> Iterator[None]:
    """Meanwhile the SDK draws jitter from `seed`, and ends at once. What others draw is as before."""
    with (
        _changed(f"{_SDK}.config", "random", _Jitter(seed)),
        _changed(f"{_SDK}.state", "_STOP_SIGNAL_POLL_SECONDS", _POLL_S),
    ):
        yield


@contextmanager
def _changed(module: str, name: str, value: Any) -> Iterator[None]:
    """Meanwhile the name has that value in the module, if that is imported and has it."""
    names = vars(sys.modules[module]) if module in sys.modules else {}
    if name not in names:
        yield
        return
    before, names[name] = names[name], value
    try:
        yield
    finally:
        names[name] = before
