"""Headless Firefox, driven by WebDriver BiDi over a local WebSocket: nothing but the browser.

A message is JSON in a text frame. Firefox writes the port that it listens on to its profile.
"""

import base64
import contextlib
import json
import os
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import browsers

NAMES = ("firefox-esr", "firefox")
FLAGS = ["--headless", "--no-remote", "--remote-debugging-port=0"]


def found() -> str | None:
    """The browser: $FIREFOX, or the first of its names on the PATH."""
    return browsers.found("FIREFOX", NAMES)


class Firefox(browsers.Browser):
    def __init__(self, width: int = 1280, height: int = 800, dark: bool = False):
        self.profile = tempfile.TemporaryDirectory(prefix="firefox", ignore_cleanup_errors=True)
        folder = Path(self.profile.name)
        scheme = f'"layout.css.prefers-color-scheme.content-override", {0 if dark else 1}'
        (folder / "user.js").write_text(f"user_pref({scheme});\n")
        null = subprocess.DEVNULL
        command = [found(), *FLAGS, "--profile", folder]
        self.process = subprocess.Popen(command, stdout=null, stderr=null)
        server = folder / "WebDriverBiDiServer.json"
        while not (server.is_file() and server.read_text().endswith("}")):
            assert self.process.poll() is None, "Firefox has ended"
            time.sleep(0.02)
        self.port = json.loads(server.read_text())["ws_port"]
        self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=600)
        self.stream = self.socket.makefile("rb")
        self._shake_hands()
        self.last, self.requests, self.messages = 0, [], []
        self.call("session.new", capabilities={})
        self.call("session.subscribe", events=["log.entryAdded", "network.beforeRequestSent"])
        (tab,) = self.call("browsingContext.getTree")["contexts"]
        self.tab = tab["context"]
        self.resize(width, height)

    # ---- the protocol ----

    def _shake_hands(self) -> None:
        """Make the connection a WebSocket (RFC 6455, section 4)."""
        key = base64.b64encode(os.urandom(16)).decode()
        lines = ["GET /session HTTP/1.1", f"Host: 127.0.0.1:{self.port}", "Upgrade: websocket",
                 "Connection: Upgrade", "Sec-WebSocket-Version: 13",
                 f"Sec-WebSocket-Key: {key}", "", ""]  # fmt: skip
        self.socket.sendall("\r\n".join(lines).encode())
        assert b" 101 " in self.stream.readline(), "Firefox speaks no WebSocket"
        while self.stream.readline().strip():
            pass

    def call(self, method: str, **params) -> dict:
        self.last += 1
        data = json.dumps({"id": self.last, "method": method, "params": params}).encode()
        size = len(data)
        length = bytes([128 | size]) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
        # A client masks what it sends (section 5.3); Firefox takes no mask of zeros.
        self.socket.sendall(b"\x81" + length + b"\1\1\1\1" + bytes(byte ^ 1 for byte in data))
        while True:
            answer = self._next()
            if answer.get("id") == self.last:
                assert answer["type"] == "success", f"{method}: {answer}"
                return answer["result"]

    def _next(self) -> dict:
        """The next message, an event noted on the way."""
        text, last = b"", False
        while not last:
            header = self.stream.read(2)
            assert len(header) == 2, "Firefox has ended"
            first, length = header
            if length > 125:
                length = int.from_bytes(self.stream.read(2 if length == 126 else 8), "big")
            text += self.stream.read(length)
            last = first & 128
        message = json.loads(text)
        params = message.get("params", {})
        match message.get("method"):
            case "network.beforeRequestSent":
                self.requests.append(params["request"]["url"])
            case "log.entryAdded":
                self.messages.append(params["text"])
        return message

    # ---- a person at the browser ----

    def open(
        self, path: Path, fragment: str = "", until="document.documentElement?.dataset.ready"
    ) -> None:
        """Load a page from disk and wait until it says that it shows its data."""
        for url in ("about:blank", path.resolve().as_uri() + fragment):
            self.requests, self.messages = [], []
            self.call("browsingContext.navigate", context=self.tab, url=url, wait="complete")
        self.wait(until)

    def evaluate(self, expression: str):
        as_json = f"Promise.resolve({expression}).then(value => JSON.stringify(value ?? null))"
        here = {"context": self.tab}
        result = self.call("script.evaluate", expression=as_json, target=here, awaitPromise=True)
        assert result["type"] == "success", result["exceptionDetails"]["text"]
        return json.loads(result["result"]["value"])

    def resize(self, width: int, height: int) -> None:
        size = {"width": width, "height": height}
        self.call("browsingContext.setViewport", context=self.tab, viewport=size)

    def screenshot(self, path: Path) -> None:
        data = self.call("browsingContext.captureScreenshot", context=self.tab)["data"]
        Path(path).write_bytes(base64.b64decode(data))

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self.call("browser.close")
        self.stream.close()
        self.socket.close()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.profile.cleanup()
