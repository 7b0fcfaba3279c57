"""Takes screenshots of the live page and of the tuner's report, into docs/images.

Needs Chromium. The forest on iris gets Poisson traffic that rises, exceeds its capacity
for a while, and falls. The page is open from the start, light and dark, on a desktop
and on a phone. Then the forest is tuned.
"""

import argparse
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.overload import CONFIG
from benchmarks.server import FLOWER, Server
from headway.tools.open_loop.traffic import Phase, Traffic, send

_FOLDER = Path(__file__).parent.parent / "docs" / "images"
_ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")


def main() -> None:
    """Take the screenshots."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--seconds", type=int, default=50, help="duration of the traffic"
    )
    parser.add_argument("--rate", type=float, default=3500.0, help="requests/s, mean")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    parser.add_argument("--tune-time", default="90s", help="time limit of the tuner")
    parser.add_argument(
        "--p99", default="50ms", help="latency that the tuner must keep"
    )
    parser.add_argument(
        "--only", choices=("live", "report"), help="take only these screenshots"
    )
    options = parser.parse_args()
    _FOLDER.mkdir(exist_ok=True)
    with sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=options.chromium, args=list(_ARGUMENTS)
        )
        if options.only != "report":
            _photograph_live(browser, options.rate, options.seconds)
        if options.only != "live":
            _photograph_report(browser, options.p99, options.tune_time)
        browser.close()


def _photograph_live(browser: Browser, rate: float, seconds: int) -> None:
    with Server("models:forest", config=CONFIG) as server:
        traffic = threading.Thread(target=_send, args=(server.url, rate, seconds))
        traffic.start()
        pages = {
            "live-light": _open(browser, server, 1280, "light"),
            "live-dark": _open(browser, server, 1280, "dark"),
            "live-phone": _open(browser, server, 360, "dark"),
        }
        # Until shortly before its end, because sending starts with a delay.
        pages["live-light"].wait_for_timeout(seconds * 1000)
        for name, page in pages.items():
            page.screenshot(path=_FOLDER / f"{name}.png", full_page=True)
            print(f"wrote docs/images/{name}.png")
        traffic.join()


def _photograph_report(browser: Browser, p99: str, time: str) -> None:
    """Tune the forest, and take the upper part of the report."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "flower.json").write_text(FLOWER)
        files = {
            f"--{what}": str(folder / file)
            for what, file in (
                *(("body", "flower.json"), ("output", "tuned.yaml")),
                *(("state", "tune.json"), ("report", "tune.html")),
            )
        }
        subprocess.run(
            [
                *(sys.executable, "-m", "headway", "tune", "models:forest"),
                *("--p99", p99, "--time", time),
                *(word for pair in files.items() for word in pair),
            ],
            cwd=Path(__file__).parent / "services",
            stdout=subprocess.DEVNULL,
            check=True,
        )
        page = browser.new_page(
            viewport={"width": 1280, "height": 1500}, color_scheme="light"
        )
        page.goto((folder / "tune.html").as_uri())
        page.locator(".chart .main-svg").last.wait_for(state="attached")
        page.screenshot(path=_FOLDER / "tune-light.png")
        print("wrote docs/images/tune-light.png")


def _open(browser: Browser, server: Server, width: int, scheme: str) -> Page:
    context = browser.new_context(
        # Tall enough for all charts, because only visible charts are drawn.
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
