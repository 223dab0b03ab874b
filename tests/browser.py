"""A headless Chromium for tests, driven over its DevTools socket, with every name of the network unknown to it."""

import json
import shutil
import subprocess
import time
from contextlib import contextmanager

import pytest
from websockets.sync.client import connect

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not on PATH")

_FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run --disable-sync --hide-scrollbars "
    "--disable-background-networking --disable-component-update --remote-debugging-port=0"
)
_PATIENCE_S = 60


@contextmanager
def chromium(profile):
    """A browser whose profile is the folder `profile`; gives a function that opens pages: `open_page(url)`."""
    command = [CHROMIUM, *_FLAGS.split(), "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={profile}"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        port, path = wait_for(lambda: _address(profile), "the browser's address")
        with connect(f"ws://127.0.0.1:{port}{path}", max_size=None) as socket:
            yield lambda url, **kwargs: Page(socket, url, **kwargs)
    finally:
        process.terminate()
        process.wait(timeout=20)


class Page:
    """One page of it: what it logs, what it asks for, and what its script says."""

    def __init__(self, socket, url, width=1200, height=900, theme="light", script=True):
        self._socket, self._number, self._session = socket, 0, None
        self._is_loaded = False
        self.problems, self.requests = [], []
        target = self._send("Target.createTarget", {"url": "about:blank"})["targetId"]
        self._session = self._send("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self._send(f"{domain}.enable")
        self.resize(width, height)
        self.use_theme(theme)
        self._send("Emulation.setScriptExecutionDisabled", {"value": not script})
        self._is_loaded = False
        self._send("Page.navigate", {"url": url})
        wait_for(self._loaded, "the page to load")

    def run(self, expression):
        """The value of a JavaScript expression; a promise is awaited."""
        told = self._send(
            "Runtime.evaluate", {"expression": expression, "returnByValue": True, "awaitPromise": True}
        )
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    def until(self, expression):
        """Wait until a JavaScript expression is true."""
        return wait_for(lambda: self.run(expression), expression)

    def resize(self, width, height):
        """Pixels of the window; headless Chromium makes no window below 500, but it can be told it had."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._send("Emulation.setDeviceMetricsOverride", size)

    def use_theme(self, theme):
        features = [{"name": "prefers-color-scheme", "value": theme}]
        self._send("Emulation.setEmulatedMedia", {"features": features})

    def use_media(self, media):
        self._send("Emulation.setEmulatedMedia", {"media": media})

    def drag(self, start, end):
        """Press the mouse at one place (x, y) and let it go at another."""
        self.mouse("mouseMoved", start)
        self.mouse("mousePressed", start)
        middle = [(a + b) / 2 for a, b in zip(start, end, strict=True)]
        self.mouse("mouseMoved", middle, buttons=1)
        self.mouse("mouseMoved", end, buttons=1)
        self.mouse("mouseReleased", end)

    def click(self, place):
        self.mouse("mousePressed", place)
        self.mouse("mouseReleased", place)

    def mouse(self, kind, place, buttons=0):
        where = {"x": place[0], "y": place[1], "button": "left", "clickCount": 1, "buttons": buttons}
        self._send("Input.dispatchMouseEvent", {"type": kind, **where})

    def middle_of(self, selector):
        """(x, y) of the middle of an element, which is scrolled into view."""
        return self.run(
            f"""(() => {{ const found = document.querySelector({selector!r})
            found.scrollIntoView({{block: 'center', behavior: 'instant'}})
            const box = found.getBoundingClientRect()
            return [box.left + box.width / 2, box.top + box.height / 2] }})()"""
        )

    def screenshot(self, path, whole=True):
        import base64

        told = self._send("Page.captureScreenshot", {"captureBeyondViewport": whole, **self._clip(whole)})
        path.write_bytes(base64.b64decode(told["data"]))

    def pdf(self):
        """The page as it would be printed, the bytes of a PDF."""
        import base64

        return base64.b64decode(self._send("Page.printToPDF", {"printBackground": True})["data"])

    def _clip(self, whole):
        if not whole:
            return {}
        size = self._send("Page.getLayoutMetrics")["cssContentSize"]
        return {"clip": {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}}

    def _loaded(self):
        self.run("1")  # brings the events along
        return self._is_loaded

    def _send(self, method, params=None):
        self._number += 1
        asked = {"id": self._number, "method": method, "params": params or {}}
        self._socket.send(json.dumps(asked | ({"sessionId": self._session} if self._session else {})))
        while True:
            told = json.loads(self._socket.recv(timeout=_PATIENCE_S))
            if told.get("id") == self._number and told.get("sessionId") == self._session:
                assert "error" not in told, told["error"]
                return told["result"]
            self._note(told)

    def _note(self, told):
        method, params = told.get("method"), told.get("params", {})
        if method == "Page.loadEventFired":
            self._is_loaded = True
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.problems.append(params["exceptionDetails"])
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.problems.append(params["args"])
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.problems.append(params["entry"])
        elif method == "Page.javascriptDialogOpening":
            self.problems.append(params)


def wait_for(ask, what):
    end = time.monotonic() + _PATIENCE_S
    while time.monotonic() < end:
        answer = ask()
        if answer:
            return answer
        time.sleep(0.05)
    raise TimeoutError(f"waited {_PATIENCE_S} s for {what}")


def _address(profile):
    file = profile / "DevToolsActivePort"
    lines = file.read_text().splitlines() if file.exists() else []
    return lines if len(lines) == 2 else None
