"""What Prometheus' own tools find fault with on a page of metrics, and more.

The tests of metrics/exposition and of a served /metrics ask.
"""

import math
import re
from collections.abc import Iterable, Iterator

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

__all__ = ["Series", "counted", "faults"]

Series = tuple[str, frozenset[tuple[str, str]]]

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_LABEL = re.compile(r"[a-z][a-z0-9_]*")
_KINDS = {"counter", "gauge", "histogram"}
# Names of units that are no base units, and of kinds, which a name does not repeat.
_WORDS = {
    *("milliseconds", "ms", "microseconds", "nanoseconds", "minutes", "hours", "kb"),
    *("percent", "counter", "gauge", "histogram"),
}


def faults(page: str) -> list[str]:
    """Return what is wrong with a page, a line each."""
    try:
        families = list(text_string_to_metric_families(page))
    except ValueError as error:
        return [f"it does not parse: {error}"]
    found = list(_order(page))
    seen: set[Series] = set()
    for family in families:
        found += _family(family)
        for sample in family.samples:
            series = _series(sample)
            if series in seen:
                found.append(f"{sample.name} has a series twice")
            seen.add(series)
    return found


def counted(page: str) -> dict[Series, float]:
    """Return the values of a page that never fall: counters' and histograms'."""
    return {
        _series(sample): sample.value
        for family in text_string_to_metric_families(page)
        if family.type in ("counter", "histogram")
        for sample in family.samples
    }


def _series(sample: Sample) -> Series:
    return sample.name, frozenset(sample.labels.items())


def _order(page: str) -> Iterator[str]:
    """Yield what is wrong with the lines: each family is one block, its head first."""
    if page and not page.endswith("\n"):
        yield "the last line does not end"
    helped, typed = "", ""
    done: set[str] = set()
    # Labels may hold what else str.splitlines takes for the end of a line.
    for line in page.split("\n")[:-1]:
        word, _, rest = line.removeprefix("# ").partition(" ")
        name = rest.partition(" ")[0]
        if line.startswith("# HELP "):
            if name in done:
                yield f"{name} has two blocks"
            if not rest.partition(" ")[2]:
                yield f"{name} has no help"
            done.add(name)
            helped = name
        elif line.startswith("# TYPE "):
            if name != helped:
                yield f"{name} has no help before its type"
            typed = name
            # Of the line, as the parser adds what is missing.
            if rest == f"{name} counter" and not name.endswith("_total"):
                yield f"{name} is a counter without _total"
        elif not (typed and re.match(rf"{typed}(_bucket|_sum|_count)?(?![\w:])", line)):
            yield f"{word} is in the block of {typed or 'none'}"


def _family(family: Metric) -> Iterator[str]:
    if family.type not in _KINDS:
        yield f"{family.name} is of the kind {family.type}"
    if not _NAME.fullmatch(family.name) or _WORDS & set(family.name.split("_")):
        yield f"{family.name} is no good name"
    if family.name.endswith("_total"):
        yield f"{family.name} ends as a counter and is none"
    for sample in family.samples:
        yield from _sample(family, sample)
    if family.type == "histogram":
        yield from _histogram(family)


def _sample(family: Metric, sample: Sample) -> Iterator[str]:
    for label in sample.labels:
        if not _LABEL.fullmatch(label):
            yield f"{label} is no good name of a label"
        if label == "le" and family.type != "histogram":
            yield f"{family.name} has the label of a histogram's buckets"
    if family.type != "gauge" and not 0 <= sample.value < math.inf:
        yield f"{sample.name} is {sample.value}"


def _histogram(family: Metric) -> Iterator[str]:
    by_labels: dict[frozenset[tuple[str, str]], list[Sample]] = {}
    for sample in family.samples:
        labels = {name: text for name, text in sample.labels.items() if name != "le"}
        by_labels.setdefault(frozenset(labels.items()), []).append(sample)
    for own in by_labels.values():
        yield from (f"{family.name} {fault}" for fault in _buckets(family.name, own))


def _buckets(name: str, own: Iterable[Sample]) -> Iterator[str]:
    values: dict[str, list[Sample]] = {}
    for sample in own:
        values.setdefault(sample.name.removeprefix(name), []).append(sample)
    buckets = [(float(s.labels["le"]), s.value) for s in values.get("_bucket", [])]
    counts = [sample.value for sample in values.get("_count", [])]
    if not buckets or buckets[-1][0] != math.inf:
        yield "has no last bucket for all"
    elif counts != [buckets[-1][1]]:
        yield "counts other than its last bucket"
    if len(values.get("_sum", [])) != 1:
        yield "has no sum"
    if buckets != sorted(buckets) or len({bound for bound, _ in buckets}) < len(
        buckets
    ):
        yield "has bounds that do not rise"
    if [value for _, value in buckets] != sorted(value for _, value in buckets):
        yield "has buckets that do not add up"
