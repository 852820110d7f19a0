"""A page of Chromium, driven over its DevTools protocol: opened, clicked, waited for, and taken a picture of."""

import base64
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import httpx
from websockets.sync.client import ClientConnection, connect

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_QUIET = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars")
# A mouse: pages take a browser without one for a telephone.
_MOUSE = "--blink-settings=primaryPointerType=4,availablePointerTypes=4,primaryHoverType=2,availableHoverTypes=2"
_OFFLINE = ("--disable-background-networking", "--disable-component-update", "--disable-sync")
_PATIENCE_SECONDS = 90.0
_LARGEST = 100_000_000  # bytes of one message: a picture
# The innermost visible element with this text alone.
_FIND = """
(text) => [...document.querySelectorAll('body *')].filter(
  (e) => e.textContent.trim() === text && e.checkVisibility() && e.getBoundingClientRect().width > 0
).at(-1)
"""
_MIDDLE = "(e) => { const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2] }"


@dataclass(frozen=True)
class Page:
    """One tab. Whatever is asked for is waited for, and SystemExit says what did not come."""

    socket: ClientConnection
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def open(self, url: str, size: tuple[int, int], scale: float = 1.0) -> None:
        """Go to an address, in a window of a size in pixels."""
        width, height = size
        metrics = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": False}
        self.command("Emulation.setDeviceMetricsOverride", **metrics)
        self.command("Page.navigate", url=url)

    def wait_for(self, condition: str, what: str = "", seconds: float = _PATIENCE_SECONDS) -> Any:
        """The first true value of a JavaScript expression."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with suppress(RuntimeError):
                if value := self.evaluate(condition):
                    return value
            time.sleep(0.2)
        sys.exit(f"{what or condition}: did not come; the page says: {self.evaluate('document.body.innerText')[:2000]}")

    def wait_for_text(self, *texts: str) -> None:
        """Wait until the page shows every one of some texts."""
        for text in texts:
            self.wait_for(f"document.body.innerText.includes({json.dumps(text)})", text)

    def settle(self, seconds: float = 2.0) -> None:
        """Wait until the page has not changed for a while, its own animations aside."""
        self.wait_for("document.readyState === 'complete'")
        still, before = time.monotonic(), ""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < min(still + seconds, deadline):
            now = self.evaluate("document.body.innerText + document.querySelectorAll('*').length")
            still, before = (still, before) if now == before else (time.monotonic(), now)
            time.sleep(0.2)

    def click(self, text: str) -> None:
        """Press what says exactly this, as a mouse would."""
        self.press(f"({_FIND})({json.dumps(text)})", text)

    def press(self, element: str, what: str = "") -> None:
        """Press the element that a JavaScript expression gives."""
        self.wait_for(f"Boolean({element})", what)
        self.evaluate(f"({element}).scrollIntoView({{block: 'nearest'}})")
        x, y = self.evaluate(f"({_MIDDLE})({element})")
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            button = {} if kind == "mouseMoved" else {"button": "left", "clickCount": 1}
            self.command("Input.dispatchMouseEvent", type=kind, x=x, y=y, **button)

    def shoot(self, path: Path) -> None:
        """The visible part of the page as a PNG."""
        path.write_bytes(base64.b64decode(self.command("Page.captureScreenshot", format="png")["data"]))

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression; RuntimeError where it throws."""
        answer = self.command("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"].get("text", "the expression throws"))
        return answer["result"].get("value")

    def command(self, method: str, **params: Any) -> Any:
        """One call of the protocol; events in between are passed over."""
        number = next(self.numbers)
        self.socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while (answer := json.loads(self.socket.recv(timeout=_PATIENCE_SECONDS))).get("id") != number:
            pass
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        return answer["result"]


@contextmanager
def browser() -> Iterator[Page]:
    """A page of a browser with a profile of its own, which is gone afterwards."""
    if CHROMIUM is None:
        sys.exit("no Chromium found; on Debian: apt-get install chromium")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = [*_QUIET, *_OFFLINE, _MOUSE, f"--user-data-dir={profile}", "--remote-debugging-port=0"]
        quiet = subprocess.DEVNULL
        process = subprocess.Popen([CHROMIUM, *options, "about:blank"], stdout=quiet, stderr=quiet)
        try:
            with connect(_page_of(Path(profile)), max_size=_LARGEST) as socket:
                yield Page(socket)
        finally:
            process.terminate()
            process.wait(timeout=30)


def _page_of(profile: Path) -> str:
    """The address of the first tab, once the browser has written down its port."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        with suppress(FileNotFoundError, ValueError, StopIteration, httpx.TransportError):
            port = int((profile / "DevToolsActivePort").read_text().splitlines()[0])
            tabs = httpx.get(f"http://127.0.0.1:{port}/json/list").json()
            return str(next(tab for tab in tabs if tab["type"] == "page")["webSocketDebuggerUrl"])
        time.sleep(0.2)
    sys.exit("Chromium did not start")
