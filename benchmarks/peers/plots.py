"""Draws the closed-loop results of each model's last session as one chart."""

from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot as plt

from benchmarks.peers.record import Line, latest
from benchmarks.peers.report import closures

__all__ = ["draw"]


def draw(lines: list[Line], folder: Path) -> None:
    """Write MODEL.svg for each model."""
    mpl.use("Agg")
    # The same results give the same file.
    mpl.rcParams["svg.hashsalt"] = "headway"
    found = closures([line for session in latest(lines) for line in session.lines])
    for model in dict.fromkeys(model for model, _, _ in found):
        figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
        for server in dict.fromkeys(name for of, name, _ in found if of == model):
            points = sorted(
                (count, closure.rps)
                for (of, name, count), closure in found.items()
                if (of, name) == (model, server)
            )
            axes.plot(*zip(*points, strict=True), marker="o", label=server)
        axes.set(xscale="log", yscale="log", title=model)
        axes.set(xlabel="connections", ylabel="requests per second")
        axes.grid(visible=True, which="major", alpha=0.3)
        axes.legend(fontsize="small")
        figure.savefig(folder / f"{model}.svg", metadata={"Date": None})
        plt.close(figure)
