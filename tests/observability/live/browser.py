"""A real Chromium, and its errors about a page."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

__all__ = ["Visit", "open_browser"]

_TIMEOUT_S = 15.0
_ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update"),
    "--disable-sync",
)


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Start the system's Chromium; skip the test where there is none."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=list(_ARGUMENTS)
        )
        yield browser
        browser.close()


class Visit:
    """A page in its own window.

    Args:
        browser: The browser.
        width: Width of the window in pixels.
        height: Height of the window in pixels.
        scheme: "light" or "dark", as the reader prefers.
        calm: Whether the reader prefers reduced motion.
    """

    def __init__(
        self,
        browser: Browser,
        *,
        width: int = 1280,
        height: int = 900,
        scheme: str = "light",
        calm: bool = False,
    ) -> None:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if scheme == "dark" else "light",
            reduced_motion="reduce" if calm else "no-preference",
        )
        context.set_default_timeout(_TIMEOUT_S * 1000)
        self.page: Page = context.new_page()
        self.complaints: list[str] = []
        """Console output, errors and failed requests of the page."""
        self.hosts: set[str] = set()
        """Hosts that it requested."""
        page = self.page
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("requestfailed", lambda request: self.complaints.append(request.url))
        page.on("request", lambda request: self.hosts.add(_host(request.url)))

    def number(self, selector: str) -> float:
        """Return the number shown by an element."""
        return float(self.page.inner_text(selector).split("/")[0].replace(",", ""))

    def wait_for(self, expression: str, argument: object = None) -> None:
        """Wait until an expression of JavaScript is true.

        The browser's own function is forbidden by the page's policy.
        """
        deadline = time.monotonic() + _TIMEOUT_S
        while not self.page.evaluate(expression, argument):
            assert time.monotonic() < deadline, (expression, argument, self.complaints)
            self.page.wait_for_timeout(20)


def _host(url: str) -> str:
    parts = urlsplit(url)
    return parts.hostname or parts.scheme
