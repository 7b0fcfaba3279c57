"""The pictures of the report, as SVG: latency, closed loops and overload."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.simulation.bounds import best_goodput, ideal_throughput
from benchmarks.simulation.case import Case
from benchmarks.simulation.catalogue import CASES
from benchmarks.simulation.contenders import CORK, HEADWAY, NEVER_WAIT, OPTIMUM, WINDOWS
from benchmarks.simulation.models import MODELS
from benchmarks.simulation.outcome import Outcome
from benchmarks.simulation.record import Outcomes

__all__ = ["draw_all"]

_STYLE: Final[dict[str, dict[str, Any]]] = {
    # The thick line below, what is possible above, so that both are seen.
    HEADWAY: {"color": "#0b5cad", "linewidth": 3.0, "zorder": 2},
    NEVER_WAIT: {"color": "#c2410c", "linewidth": 1.3, "zorder": 3},
    WINDOWS[0]: {"color": "#a3a3a3", "linewidth": 1.0, "zorder": 1},
    WINDOWS[1]: {"color": "#737373", "linewidth": 1.0, "zorder": 1},
    WINDOWS[2]: {"color": "#404040", "linewidth": 1.0, "zorder": 1},
    CORK: {"color": "#7e22ce", "linewidth": 1.3, "zorder": 3},
    "aimd": {"color": "#15803d", "linewidth": 1.3, "zorder": 3, "linestyle": ":"},
    OPTIMUM: {"color": "#000000", "linewidth": 1.0, "zorder": 4, "linestyle": "--"},
}
_CONTENDERS: Final = tuple(policy for policy in _STYLE if policy != OPTIMUM)
_RC: Final[dict[Any, Any]] = {
    "svg.hashsalt": "headway",  # the same picture is the same file
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e5e5e5",
    "legend.frameon": False,
}


def draw_all(outcomes: Outcomes, folder: Path) -> list[Path]:
    """Write the pictures into a folder and return their paths."""
    with mpl.rc_context(_RC):
        figures = {
            "latency.svg": _latency(outcomes),
            "closed.svg": _closed(outcomes),
            "overload.svg": _overload(outcomes),
        }
        paths = []
        for name, figure in figures.items():
            figure.savefig(folder / name, metadata={"Date": None})
            paths.append(folder / name)
    return paths


def _latency(outcomes: Outcomes) -> Figure:
    """Mean latency over load, for each model with a known optimum."""

    def mean_ms(outcome: Outcome) -> float | None:
        return outcome.mean_ms

    models = ("forest", "small", "linear", "gpu", "uneven", "stalling")
    figure = Figure(figsize=(9, 5.6), layout="constrained")
    panels = figure.subplots(2, 3).flat
    for model, panel in zip(models, panels, strict=True):
        cases = _below(f"poisson/{model}", outcomes)
        for policy in (*_CONTENDERS, OPTIMUM):
            _line(panel, cases, policy, outcomes, mean_ms)
        ours = [outcomes[case.name, HEADWAY].mean_ms or 0.0 for case in cases]
        panel.set(title=model, xlabel="load", ylim=(0, 2 * max(ours, default=1.0)))
    figure.supylabel("mean latency, ms")
    _legend(figure, (*_CONTENDERS, OPTIMUM))
    return figure


def _closed(outcomes: Outcomes) -> Figure:
    """Throughput over clients in a closed loop."""

    def goodput(outcome: Outcome) -> float:
        return outcome.goodput

    models = ("forest", "small", "linear", "gpu")
    figure = Figure(figsize=(9, 5.6), layout="constrained")
    panels = figure.subplots(2, 2).flat
    for model, panel in zip(models, panels, strict=True):
        cases = _below(f"closed/{model}", outcomes)
        for policy in _CONTENDERS:
            _line(panel, cases, policy, outcomes, goodput)
        ideal = [ideal_throughput(case) for case in cases]
        panel.plot([_last(case) for case in cases], ideal, **_STYLE[OPTIMUM])
        panel.set(title=model, xlabel="clients", xscale="log", ylim=(0, None))
    figure.supylabel("answers a second")
    _legend(figure, (*_CONTENDERS, OPTIMUM), {OPTIMUM: "all clients, full batches"})
    return figure


def _overload(outcomes: Outcomes) -> Figure:
    """Goodput at twice the capacity, of the best achievable."""
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    panel = figure.subplots()
    shown = (HEADWAY, NEVER_WAIT, WINDOWS[1], CORK, "aimd")
    width = 0.8 / len(shown)
    for index, policy in enumerate(shown):
        shares = []
        for model in MODELS:
            case = _below(f"overload/{model}", outcomes, prefix="2x")[0]
            shares.append(outcomes[case.name, policy].goodput / best_goodput(case))
        places = [place + index * width for place in range(len(MODELS))]
        panel.bar(places, shares, width, label=policy, color=_STYLE[policy]["color"])
    panel.set_xticks([place + 0.4 - width / 2 for place in range(len(MODELS))], MODELS)
    panel.set(ylabel="goodput of the best achievable")
    panel.grid(visible=False, axis="x")
    figure.legend(loc="outside lower center", ncols=len(shown))
    return figure


def _below(path: str, outcomes: Outcomes, prefix: str = "") -> list[Case]:
    """Return the cases below a path of names that Headway was run on."""
    return [
        case
        for name, case in CASES.items()
        if name.startswith(f"{path}/{prefix}") and (name, HEADWAY) in outcomes
    ]


def _last(case: Case) -> float:
    return float(case.name.rpartition("/")[2])


def _line(
    panel: Any,
    cases: Sequence[Case],
    policy: str,
    outcomes: Outcomes,
    value: Callable[[Outcome], float | None],
) -> None:
    points = [
        (_last(case), value(outcomes[case.name, policy]))
        for case in cases
        if (case.name, policy) in outcomes
    ]
    if points:
        panel.plot(*zip(*points, strict=True), **_STYLE[policy])


def _legend(
    figure: Figure, policies: Iterable[str], names: dict[str, str] | None = None
) -> None:
    panel = figure.axes[0]
    for policy in policies:
        panel.plot([], [], label=(names or {}).get(policy, policy), **_STYLE[policy])
    handles, labels = panel.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
