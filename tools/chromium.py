"""Drives a headless Chromium by its own protocol, over two pipes: for tests and pictures of the console.

Source: Chrome DevTools Protocol; `--remote-debugging-pipe` has Chromium read commands from descriptor 3 and
write answers and events to 4, each a JSON text ended by NUL.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

CHROMIUM = shutil.which("chromium")

_OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-pipe"),
    *("--disable-background-networking", "--disable-component-update", "--hide-scrollbars"),
)
_PATIENCE_S = 30.0


class Browser:
    """One tab, to be used in a `with` block.

    Attributes:
        requests: Every URL that was asked for, in order.
        problems: What pages logged: exceptions, errors, violations of their content security policy.
    """

    def __init__(self, profile: Path, url: str = "about:blank") -> None:
        """`profile` is the folder that Chromium keeps its files in."""
        assert CHROMIUM is not None, "chromium is not installed"
        self.requests: list[str] = []
        self.problems: list[str] = []
        self._answers: dict[int, dict[str, Any]] = {}
        self._rest = b""
        self._number = 0
        commands, self._write = os.pipe()
        self._read, answers = os.pipe()
        shell = ["bash", "-c", f'exec "$0" "$@" 3<&{commands} 4>&{answers}', CHROMIUM, *_OPTIONS]
        self._process = subprocess.Popen(
            [*shell, f"--user-data-dir={profile}", url],
            pass_fds=(commands, answers),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(commands)
        os.close(answers)
        self._session: str | None = None

    def __enter__(self) -> Self:
        try:
            tabs = self.command("Target.getTargets")["targetInfos"]
            tab = next(one["targetId"] for one in tabs if one["type"] == "page")
            self._session = self.command("Target.attachToTarget", targetId=tab, flatten=True)["sessionId"]
            for domain in ("Page", "Runtime", "Network", "Log", "Audits"):
                self.command(f"{domain}.enable")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(_PATIENCE_S)
        os.close(self._write)
        os.close(self._read)

    def command(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The result of one command. Raises RuntimeError if Chromium refuses it."""
        self._number += 1
        number = self._number
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        ends_s = time.monotonic() + _PATIENCE_S
        while number not in self._answers:
            self._receive(ends_s)
        answer = self._answers.pop(number)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        result: dict[str, Any] = answer["result"]
        return result

    def go(self, url: str) -> None:
        """Load a page."""
        self.command("Page.navigate", url=url)

    def run(self, script: str) -> Any:
        """The value of an expression in the page, awaited."""
        answer = self.command("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{script}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def until(self, script: str, is_right: Callable[[Any], bool] = bool) -> Any:
        """The first value of an expression that is right; asked for every 50 ms, 30 s at most."""
        ends_s = time.monotonic() + _PATIENCE_S
        while not is_right(value := self.run(script)):
            if time.monotonic() > ends_s:
                raise AssertionError(f"{script} stays {value!r}; {self.problems}")
            time.sleep(0.05)
        return value

    def click(self, selector: str) -> None:
        """Click on the middle of the first element of that selector, once it is there, as a mouse does."""
        place = self.until(
            f"(() => {{ const it = document.querySelector({json.dumps(selector)}); if (!it) return null;"
            "it.scrollIntoView({block: 'center'}); const at = it.getBoundingClientRect();"
            "return [at.x + at.width / 2, at.y + at.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.command(
                "Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left", clickCount=1
            )

    def type(self, text: str) -> None:
        """Put `text` where the focus is."""
        self.command("Input.insertText", text=text)

    def look(self, width: int, height: int, *, dark: bool = False) -> None:
        """Have a window of that size, and prefer light or dark colours."""
        self.command(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.command("Emulation.setEmulatedMedia", features=[scheme])

    def picture(self, path: Path) -> None:
        """Save what is seen as a PNG file."""
        path.write_bytes(base64.b64decode(self.command("Page.captureScreenshot", format="png")["data"]))

    def _receive(self, ends_s: float) -> None:
        if not select.select([self._read], [], [], max(0.0, ends_s - time.monotonic()))[0]:
            raise TimeoutError("chromium does not answer")
        data = os.read(self._read, 1 << 20)
        if not data:
            raise ConnectionError("chromium has ended")
        *messages, self._rest = (self._rest + data).split(b"\0")
        for message in map(json.loads, messages):
            if "id" in message:
                self._answers[message["id"]] = message
            else:
                self._note(message["method"], message["params"])

    def _note(self, event: str, facts: dict[str, Any]) -> None:
        match event:
            case "Network.requestWillBeSent":
                self.requests.append(facts["request"]["url"])
            case "Runtime.exceptionThrown":
                self.problems.append(json.dumps(facts["exceptionDetails"]))
            case "Log.entryAdded" if facts["entry"]["level"] == "error":
                self.problems.append(json.dumps(facts["entry"]))
            case "Audits.issueAdded" if facts["issue"]["code"] == "ContentSecurityPolicyIssue":
                self.problems.append(json.dumps(facts["issue"]))
