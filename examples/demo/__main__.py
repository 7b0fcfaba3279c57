"""Trains the credit risk model, serves it, and load-tests it: scripts/demo --help."""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

from children import Children, DemoError, free_port
from figures import as_figures, render_table, write_json
from interruption import Interrupted, Interruption

from headway.errors import HeadwayError
from headway.tools.load.load import LoadPlan, LoadTest
from headway.tools.load.terminal import Progress
from headway.tools.options import parse_ladder

FOLDER = Path(__file__).resolve().parent.parent / "credit_risk"
LADDER = "50/10,200/50,400/50,1000/100"
SECONDS = 30
QUICK_SECONDS = 15
TRAIN_TIMEOUT_S = 300
START_TIMEOUT_S = 120
STOP_TIMEOUT_S = 30


def parse_arguments():
    parser = argparse.ArgumentParser(
        prog="scripts/demo",
        description="Train the credit risk model, save it, serve it in production and "
        "load it with Locust's users, step by step; then print a table.",
    )
    parser.add_argument(
        "--serve",
        action="store_true",
        help="no load steps: keep the server and Locust's web UI up until Ctrl-C",
    )
    parser.add_argument(
        "--ladder",
        default=LADDER,
        metavar="USERS/RATE,...",
        help="users and spawn rate of each load step (default: %(default)s)",
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=SECONDS,
        help="duration of a step, including its ramp (default: %(default)s)",
    )
    parser.add_argument(
        "--quick",
        dest="seconds",
        action="store_const",
        const=QUICK_SECONDS,
        help=f"the same as --seconds {QUICK_SECONDS}",
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write the figures to this file"
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on; 0.0.0.0 accepts other machines "
        "(default: %(default)s)",
    )
    arguments = parser.parse_args()
    if arguments.seconds <= 0:
        parser.error("--seconds: must be above 0")
    return arguments


class Demo:
    def __init__(self, arguments, children, home, scratch):
        self._arguments = arguments
        self._children = children
        self._scratch = scratch
        self._env = {**os.environ, "HEADWAY_HOME": str(home), "PYTHONUNBUFFERED": "1"}
        self._env.pop("HEADWAY_CONFIG", None)  # the example has its own file
        self._url_host = "127.0.0.1" if arguments.host == "0.0.0.0" else arguments.host

    def run(self):
        """Return whether the demo succeeded."""
        arguments = self._arguments
        ladder = parse_ladder(arguments.ladder)
        self._train()
        server, url = self._serve()
        if arguments.serve:
            self._stay(server, url)
            return True
        result = self._climb(ladder, url)
        if server.process.poll() is not None:
            raise server.failure(f"ended with {server.process.returncode}")
        code = self._children.stop(server, STOP_TIMEOUT_S)
        steps = [as_figures(step, arguments.seconds) for step in result.steps]
        print(f"\n{render_table(steps)}")
        if arguments.json is not None:
            write_json(arguments.json, steps, result.errors)
        errors = list(result.errors)
        if not all(step["whole"]["requests"] for step in steps):
            errors.append("a step had no requests: is --seconds too short?")
        if code != 0:
            errors.append(str(server.failure(f"ended with {code}")))
        for error in errors:
            print(f"failed: {error}", file=sys.stderr)
        return not errors

    def _train(self):
        print("$ python train.py", flush=True)
        train = self._children.start(
            "train.py", [sys.executable, "train.py"], cwd=FOLDER, env=self._env
        )
        train.wait(TRAIN_TIMEOUT_S)

    def _serve(self):
        port = free_port(self._arguments.host, 3000)
        command = ["serve", "service:svc", "--production", "--port", str(port)]
        print(f"$ headway {' '.join(command)}", flush=True)
        server = self._children.start(
            "headway serve",
            [
                *(sys.executable, "-m", "headway", *command),
                *("--host", self._arguments.host),
            ],
            cwd=FOLDER,
            env=self._env,
            log=None if self._arguments.serve else self._scratch / "server.log",
        )
        url = f"http://{self._url_host}:{port}"
        server.wait_for(f"{url}/readyz", START_TIMEOUT_S)
        return server, url

    def _climb(self, ladder, url):
        seconds = self._arguments.seconds
        print(f"$ headway load {url} --locustfile locustfile.py", flush=True)
        plan = LoadPlan(
            url=url,
            locustfile=FOLDER / "locustfile.py",
            users_from="locustfile.py",
            ladder=ladder,
            step_s=seconds,
        )
        with LoadTest(
            plan=plan, progress=Progress(sys.stderr, ladder, seconds)
        ) as load:
            load.run()
        return load.result

    def _stay(self, server, url):
        port = free_port(self._arguments.host, 8089)
        locust = self._children.start(
            "Locust",
            [
                *(sys.executable, "-m", "locust", "-H", url, "-u", "50", "-r", "10"),
                *("--web-host", self._arguments.host, "--web-port", str(port)),
            ],
            cwd=FOLDER,
            env=self._env,
            log=self._scratch / "locust.log",
        )
        locust_url = f"http://{self._url_host}:{port}"
        locust.wait_for(locust_url, START_TIMEOUT_S)
        print(f"\nAPI      {url}\nmetrics  {url}/metrics\nLocust   {locust_url}")
        print("\nCtrl-C stops all of it.", flush=True)
        while True:
            for child in (server, locust):
                try:
                    code = child.process.wait(timeout=1)
                except subprocess.TimeoutExpired:
                    continue
                raise child.failure(f"ended with {code}")


@contextmanager
def model_home(scratch):
    """Yield the model store: a temporary one, unless HEADWAY_HOME is set."""
    if os.environ.get("HEADWAY_HOME"):
        yield Path(os.environ["HEADWAY_HOME"]).expanduser().absolute()
        return
    print("The model goes to a temporary HEADWAY_HOME, removed at the end.")
    yield scratch / "home"


def main():
    arguments = parse_arguments()
    interruption = Interruption()
    interruption.install()
    try:
        with (
            tempfile.TemporaryDirectory(prefix="headway-demo-") as name,
            model_home(Path(name)) as home,
            Children(interruption) as children,
        ):
            return 0 if Demo(arguments, children, home, Path(name)).run() else 1
    except (DemoError, HeadwayError) as error:
        print(f"\ndemo failed: {error}", file=sys.stderr)
        return 1
    except Interrupted as interrupted:
        print(f"\nstopped by {interrupted}", file=sys.stderr)
        if arguments.serve and interrupted.number == signal.SIGINT:
            return 0
        return 128 + interrupted.number


if __name__ == "__main__":
    sys.exit(main())
