"""A headless Chromium for tests, spoken to over a pair of pipes (the DevTools protocol, --remote-debugging-pipe).

Needs no library and no port. `python -m tests.browser` installs Debian's chromium where it can, and says loudly where
it cannot. Loads only what it is given: no page of a test may ask the network for anything.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
ANSWER_SECONDS = 60.0


def find() -> str | None:
    """The path of a Chromium; None: there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


# What is wider than the page.
WIDEST = """(() => {
  const width = document.documentElement.clientWidth;
  const wide = [...document.querySelectorAll('body, body *')]
    .filter(one => one.getBoundingClientRect().right > width + 0.5);
  return {
    page: document.documentElement.scrollWidth, width, wide: wide.slice(0, 5).map(one => one.outerHTML.slice(0, 200)),
  };
})()"""


class Browser:
    """One browser with one page."""

    def __init__(self, program: str) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="triage-browser-", ignore_cleanup_errors=True)
        from_us, self._to = os.pipe()
        self._from, to_us = os.pipe()

        def connect() -> None:  # Chromium reads from 3 and writes to 4; both may be in use by the other end
            source, target = os.dup(from_us), os.dup(to_us)
            os.dup2(source, 3)
            os.dup2(target, 4)

        self._process = subprocess.Popen(
            [
                *(program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
                *("--remote-debugging-pipe", f"--user-data-dir={self._folder.name}", "--no-first-run"),
                *(
                    "--disable-background-networking",
                    "--disable-component-update",
                    "--disable-sync",
                    "--disable-default-apps",
                ),
                *("--host-resolver-rules=MAP * ~NOTFOUND", "--force-color-profile=srgb", "--hide-scrollbars"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            close_fds=False,
            preexec_fn=connect,
        )
        os.close(from_us)
        os.close(to_us)
        self._rest = b""
        self._number = 0
        self._session: str | None = None
        self.requests: list[str] = []
        """Every address the page asked for."""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.ask("Page.enable")
        self.ask("Network.enable")

    def __enter__(self) -> Browser:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            os.close(self._to)  # the end of the pipe ends the browser
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._from)
        self._folder.cleanup()

    def show(self, page: str, *, width: int, scheme: Literal["light", "dark"]) -> None:
        """Load a page and lay it out for a screen of this width and colour scheme."""
        self.requests.clear()
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600)
        self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        frame = self.ask("Page.getFrameTree")["frameTree"]["frame"]["id"]
        self.ask("Page.setDocumentContent", frameId=frame, html=page)
        self.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))")

    def evaluate(self, script: str) -> Any:
        """The value of an expression in the page."""
        answer = self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise AssertionError(answer["exceptionDetails"]["exception"].get("description"))
        return answer["result"].get("value")

    def screenshot(self, path: Path, down_to: str | None = None) -> None:
        """The page as a PNG, whole or down to the end of the first element that this CSS selector finds."""
        clip: dict[str, Any] = {}
        if down_to is not None:
            size = "({x: 0, y: 0, width: document.documentElement.clientWidth, scale: 1, height: Math.ceil("
            bottom = f"document.querySelector({json.dumps(down_to)}).getBoundingClientRect().bottom + scrollY) + 8}})"
            clip = {"clip": self.evaluate(f"{size}{bottom}")}
        shot = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=True, **clip)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call one method of the protocol and wait for its answer."""
        self._number += 1
        call: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            call["sessionId"] = self._session
        os.write(self._to, json.dumps(call).encode() + b"\0")
        deadline = time.monotonic() + ANSWER_SECONDS
        while time.monotonic() < deadline:
            told = self._next()
            if told.get("method") == "Network.requestWillBeSent":
                self.requests.append(told["params"]["request"]["url"])
            if told.get("id") == self._number:
                if "error" in told:
                    raise AssertionError(f"{method}: {told['error']}")
                answer: dict[str, Any] = told["result"]
                return answer
        raise AssertionError(f"{method}: no answer")

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            read = os.read(self._from, 1 << 20)
            if not read:
                raise AssertionError("the browser has ended")
            self._rest += read
        message, _, self._rest = self._rest.partition(b"\0")
        told: dict[str, Any] = json.loads(message)
        return told


def main() -> int:
    """Install Chromium if there is none; the exit code is 0 in any case, the words say what happened."""
    if found := find():
        print(f"Browser: {found}")
        return 0
    if os.name != "posix" or not shutil.which("apt-get") or os.geteuid() != 0:
        print("*** SKIPPED: there is no Chromium here, and it cannot be installed (not Debian, or not root).")
        print("*** The report was NOT looked at in a browser. Install chromium, then: make browser")
        return 0
    for command in (
        ["apt-get", "-q", "update"],
        ["apt-get", "-q", "-y", "install", "--no-install-recommends", "chromium"],
    ):
        done = subprocess.run(command, env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"}, capture_output=True)
        if done.returncode:
            print(f"*** SKIPPED: {' '.join(command)} failed: {done.stderr.decode(errors='replace').strip()[-300:]}")
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
