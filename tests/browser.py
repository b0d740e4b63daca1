"""A real browser for tests: headless Chromium, driven by the DevTools protocol over a pair of pipes."""

import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

PROGRAMS = "chromium", "chromium-browser", "google-chrome", "google-chrome-stable"
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",
)
# The protocol's pipes are the file descriptors 3, to the browser, and 4, from it.
START = "import os, sys; i, o, *command = sys.argv[1:]; os.dup2(int(i), 3); os.dup2(int(o), 4); "
START += "os.execv(command[0], command)"
PATIENCE = 60.0  # seconds for an answer


def program() -> str | None:
    """The path of a Chromium, None where there is none."""
    return next((found for name in PROGRAMS if (found := shutil.which(name))), None)


class Browser:
    """A context manager; `open` gives a `Tab`. RuntimeError for what the browser refuses or leaves undone.

    profile: a new folder for all that the browser writes.
    """

    def __init__(self, profile: Path):
        self.profile, self.calls, self.rest, self.tabs = profile, 0, b"", {}

    def __enter__(self):
        # Above 9, so that they are not 3 or 4 themselves.
        down, up = os.pipe(), os.pipe()
        theirs = [fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (down[0], up[1])]
        self.down, self.up = down[1], up[0]
        command = [program(), *FLAGS, f"--user-data-dir={self.profile}", "about:blank"]
        self.process = subprocess.Popen(
            [sys.executable, "-c", START, *map(str, theirs), *command],
            pass_fds=theirs,
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": str(self.profile)},
        )
        for fd in (down[0], up[1], *theirs):
            os.close(fd)
        return self

    def __exit__(self, *exc):
        with contextlib.suppress(ProcessLookupError):  # all that it started has its process group
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self.down)
        os.close(self.up)

    def open(self, page: Path | str, width=1200, height=900, dark=False, still=False, touch=False) -> "Tab":
        """A tab with a file, or what is at an address, in it, loaded."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        tab = self.tabs[session] = Tab(self, session)
        for domain in ("Page", "Runtime", "Log", "Network"):
            tab.call(f"{domain}.enable")
        tab.call(
            "Emulation.setDeviceMetricsOverride",
            **{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": touch},
        )
        motion = "reduce" if still else "no-preference"
        features = {"prefers-color-scheme": "dark" if dark else "light", "prefers-reduced-motion": motion}
        listed = [{"name": name, "value": value} for name, value in features.items()]
        tab.call("Emulation.setEmulatedMedia", features=listed)
        tab.call("Page.navigate", url=page if isinstance(page, str) else page.resolve().as_uri())
        self.until(lambda: tab.loaded)
        return tab

    def call(self, method, session=None, **parameters):
        self.calls += 1
        number = self.calls
        message = {"id": number, "method": method, "params": parameters}
        message |= {"sessionId": session} if session else {}
        os.write(self.down, json.dumps(message).encode() + b"\0")
        answers = []
        self.until(lambda: answers, lambda m: answers.append(m) if m.get("id") == number else None)
        if "error" in answers[0]:
            raise RuntimeError(f"{method}: {answers[0]['error']['message']}")
        return answers[0]["result"]

    def until(self, done, note=lambda message: None):
        """Read what the browser says until done()."""
        deadline = time.monotonic() + PATIENCE
        while not done():
            ready, _, _ = select.select([self.up], [], [], max(deadline - time.monotonic(), 0))
            data = os.read(self.up, 1 << 20) if ready else b""
            if not data:
                raise RuntimeError("the browser has ended" if ready else "the browser does not answer")
            *whole, self.rest = (self.rest + data).split(b"\0")
            for message in map(json.loads, whole):
                note(message)
                if tab := self.tabs.get(message.get("sessionId")):
                    tab.note(message)


class Tab:
    """errors: what was wrong, by the console or as an exception. requests: all URLs that were asked for."""

    def __init__(self, browser, session):
        self.browser, self.session = browser, session
        self.errors, self.requests, self.loaded = [], [], False

    def call(self, method, **parameters):
        return self.browser.call(method, self.session, **parameters)

    def note(self, message):
        method, said = message.get("method"), message.get("params", {})
        if method == "Page.loadEventFired":
            self.loaded = True
        elif method == "Network.requestWillBeSent":
            self.requests.append(said["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.errors.append(said["exceptionDetails"])
        elif method == "Log.entryAdded" and said["entry"]["level"] in ("error", "warning"):
            self.errors.append(said["entry"]["text"])
        elif method == "Runtime.consoleAPICalled" and said["type"] in ("error", "warning", "assert"):
            self.errors.append([part.get("value") for part in said["args"]])

    def run(self, code):
        """The value of a JavaScript expression, of a promise what it comes to."""
        answer = self.call("Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"]["exception"].get("description", code))
        return answer["result"].get("value")

    def text(self, selector) -> str:
        return self.run(f"document.querySelector({json.dumps(selector)}).textContent")

    def click(self, selector):
        """By the mouse, in the middle."""
        x, y = self.middle(selector)
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def point(self, selector, across=0.5, down=0.5):
        """Move the mouse over an element."""
        x, y = self.middle(selector, across, down)
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def middle(self, selector, across=0.5, down=0.5):
        box = self.run(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            "e.scrollIntoView({block: 'center'}); const b = e.getBoundingClientRect();"
            "return [b.x, b.y, b.width, b.height]; })()"
        )
        return box[0] + across * box[2], box[1] + down * box[3]

    def press(self, key):
        """A key, on what has the focus."""
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=KEYS[key])

    def screenshot(self, path: Path, clip=None):
        """A PNG of the whole page, or of clip: (x, y, width, height)."""
        whole = self.run("[0, 0, innerWidth, document.documentElement.scrollHeight]")
        box = dict(zip(("x", "y", "width", "height"), clip or whole, strict=True), scale=1)
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=box)
        path.write_bytes(base64.b64decode(shot["data"]))


KEYS = {"ArrowLeft": 37, "ArrowRight": 39, "Home": 36, "End": 35, "Tab": 9}
