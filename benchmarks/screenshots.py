"""Photographs the live page under traffic, into docs/images.

Needs Chromium. The forest on iris gets Poisson traffic that rises, is too much for it
for a while, and falls; the page is open from the beginning, light and dark, on a desk's
screen and on a phone's.
"""

import argparse
import threading
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.overload import CONFIG
from benchmarks.server import FLOWER, Server
from headway.traffic.open_loop.traffic import Phase, Traffic, send

_FOLDER = Path(__file__).parent.parent / "docs" / "images"
_ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")


def main() -> None:
    """Take them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=50, help="of traffic")
    parser.add_argument("--rate", type=float, default=3500.0, help="requests/s, mean")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    options = parser.parse_args()
    _FOLDER.mkdir(exist_ok=True)
    with Server("models:forest", config=CONFIG) as server, sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=options.chromium, args=list(_ARGUMENTS)
        )
        traffic = threading.Thread(
            target=_send, args=(server.url, options.rate, options.seconds)
        )
        traffic.start()
        pages = {
            "live-light": _open(browser, server, 1280, "light"),
            "live-dark": _open(browser, server, 1280, "dark"),
            "live-phone": _open(browser, server, 360, "dark"),
        }
        # Until shortly before its end: sending takes a while to begin.
        pages["live-light"].wait_for_timeout(options.seconds * 1000)
        for name, page in pages.items():
            page.screenshot(path=_FOLDER / f"{name}.png", full_page=True)
            print(f"wrote docs/images/{name}.png")
        browser.close()
        traffic.join()


def _open(browser: Browser, server: Server, width: int, scheme: str) -> Page:
    context = browser.new_context(
        # So tall that all charts are in sight, and so drawn.
        viewport={"width": width, "height": 2000 if width > 400 else 4800},
        color_scheme="dark" if scheme == "dark" else "light",
        reduced_motion="reduce",
    )
    page = context.new_page()
    page.goto(f"http://127.0.0.1:{server.port}/-/live")
    return page


def _send(url: str, rate: float, seconds: float) -> None:
    shares = (0.3, 0.7, 1.5, 4.0, 1.0, 0.4)
    mean = sum(shares) / len(shares)
    phases = tuple(
        Phase(rate * share / mean, seconds / len(shares)) for share in shares
    )
    send(Traffic(url=url, phases=phases, body=FLOWER.encode(), deadline_ms=300))


if __name__ == "__main__":
    main()
