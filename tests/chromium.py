"""Headless Chromium, driven over its DevTools protocol through a pipe: nothing but the browser.

A message is JSON that ends in a zero byte; Chromium reads them on its descriptor 3 and writes
answers and events on 4.
"""

import base64
import contextlib
import json
import os
import select
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import browsers

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--hide-scrollbars", "--remote-debugging-pipe",
]  # fmt: skip
KEYS = {
    "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "Enter": 13, "Escape": 27,
    "Home": 36, "End": 35, "PageUp": 33, "PageDown": 34, "Tab": 9,
}  # fmt: skip


def found() -> str | None:
    """The browser: $CHROMIUM, or the first of its names on the PATH."""
    return browsers.found("CHROMIUM", NAMES)


class Chromium(browsers.Browser):
    def __init__(self, width: int = 1280, height: int = 800):
        self.profile = tempfile.TemporaryDirectory(prefix="chromium", ignore_cleanup_errors=True)
        theirs_in, ours_out = os.pipe()
        ours_in, theirs_out = os.pipe()

        def pipes():  # in the child: the pipe's ends become 3 and 4, wherever they were
            read, write = os.dup(theirs_in), os.dup(theirs_out)
            os.dup2(read, 3)
            os.dup2(write, 4)

        self.process = subprocess.Popen(
            [found(), *FLAGS, f"--user-data-dir={self.profile.name}", "about:blank"],
            preexec_fn=pipes,
            pass_fds=(3, 4),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self.input, self.output = ours_in, ours_out
        self.buffer, self.last, self.session = b"", 0, None
        self.requests, self.messages = [], []
        (target,) = [
            t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page"
        ]
        attached = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        self.resize(width, height)

    # ---- the protocol ----

    def call(self, method: str, **params) -> dict:
        self.last += 1
        message = {"id": self.last, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.output, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next(600)
            if answer.get("id") == self.last:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]

    def _next(self, seconds: float) -> dict:
        """The next message, an event noted on the way."""
        end = time.monotonic() + seconds
        while b"\0" not in self.buffer:
            ready, _, _ = select.select([self.input], [], [], max(0, end - time.monotonic()))
            assert ready, "Chromium does not answer"
            data = os.read(self.input, 1 << 20)
            assert data, "Chromium has ended"
            self.buffer += data
        line, _, self.buffer = self.buffer.partition(b"\0")
        message = json.loads(line)
        params = message.get("params", {})
        match message.get("method"):
            case "Network.requestWillBeSent":
                self.requests.append(params["request"]["url"])
            case "Runtime.exceptionThrown":
                details = params["exceptionDetails"]
                self.messages.append(
                    details.get("exception", {}).get("description") or str(details)
                )
            case "Runtime.consoleAPICalled":
                self.messages.append(str([a.get("value") for a in params["args"]]))
            case "Log.entryAdded":
                self.messages.append(params["entry"]["text"])
            case "Page.javascriptDialogOpening":
                self.messages.append(f"dialog: {params['message']}")
        return message

    # ---- a person at the browser ----

    def open(
        self, path: Path, fragment: str = "", until="document.documentElement?.dataset.ready"
    ) -> None:
        """Load a page from disk and wait until it says that it shows its data."""
        self.call("Page.navigate", url="about:blank")
        self.wait("location.href == 'about:blank'")
        self.requests, self.messages = [], []
        self.call("Page.navigate", url=path.resolve().as_uri() + fragment)
        self.wait(until)

    def evaluate(self, expression: str):
        result = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def settle(self) -> None:
        """Two frames and what waits for them."""
        self.evaluate(
            "new Promise(done => setTimeout(() => requestAnimationFrame("
            "() => requestAnimationFrame(() => done(true))), 30))"
        )

    def press(self, *keys: str, control: bool = False, shift: bool = False) -> None:
        for key in keys:
            plain = len(key) == 1 and not control
            code = KEYS.get(key) or ord(key.upper())
            shared = {
                "key": key,
                "windowsVirtualKeyCode": code,
                "modifiers": 2 * control + 8 * (shift or (plain and key.isupper())),
            }
            text = {"text": key} if plain else {"text": "\r"} if key == "Enter" else {}
            self.call("Input.dispatchKeyEvent", type="keyDown", **shared, **text)
            self.call("Input.dispatchKeyEvent", type="keyUp", **shared)
        self.settle()

    def type(self, text: str) -> None:
        self.call("Input.insertText", text=text)
        self.settle()

    def hover(self, x: float, y: float) -> None:
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        self.settle()

    def click(self, x: float, y: float, shift: bool = False) -> None:
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        for kind in ("mousePressed", "mouseReleased"):
            self.call(
                "Input.dispatchMouseEvent",
                type=kind, x=x, y=y, button="left", buttons=1, clickCount=1, modifiers=8 * shift,
            )  # fmt: skip
        self.settle()

    def click_on(self, selector: str, **more) -> None:
        box = self.evaluate(
            f"(b => [b.x + b.width / 2, b.y + b.height / 2])"
            f"(document.querySelector({json.dumps(selector)}).getBoundingClientRect())"
        )
        self.click(*box, **more)

    def resize(self, width: int, height: int, scale: float = 1) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=scale, mobile=False,
        )  # fmt: skip

    def prefer(self, scheme: str) -> None:
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", features=features)

    def screenshot(self, path: Path) -> None:
        data = self.call("Page.captureScreenshot", format="png")["data"]
        Path(path).write_bytes(base64.b64decode(data))

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self.session = None
            self.call("Browser.close")
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        os.close(self.input)
        os.close(self.output)
        self.profile.cleanup()
