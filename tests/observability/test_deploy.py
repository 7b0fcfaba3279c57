"""The dashboard, the scrape and the alerts of deploy/ name what is really counted."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from headway.metrics import families

DEPLOY = Path(__file__).parents[2] / "deploy"
FAMILIES = {
    family.name: family
    for family in vars(families).values()
    if isinstance(family, families.Family) and family.kind != "log"
}
# Prometheus adds the first two, a histogram has the third.
ADDED_LABELS = {"instance", "job", "le"}


def dashboard() -> Any:
    return json.loads((DEPLOY / "grafana.json").read_text("utf-8"))


def alerts() -> Any:
    return yaml.safe_load((DEPLOY / "alerts.yml").read_text("utf-8"))


def queries() -> Iterator[str]:
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", []):
            yield target["expr"]
    for variable in dashboard()["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["query"]
    for group in alerts()["groups"]:
        for rule in group["rules"]:
            yield rule["expr"]


def family_of(series: str) -> families.Family:
    """Return the family that a series of a query belongs to."""
    found = FAMILIES.get(series)
    if found is not None:
        assert found.kind != "histogram", f"{series} has a suffix when it is scraped"
        return found
    name, _, suffix = series.rpartition("_")
    assert suffix in ("bucket", "sum", "count"), f"nothing counts {series}"
    assert FAMILIES[name].kind == "histogram", series
    return FAMILIES[name]


@pytest.mark.parametrize("query", list(queries()))
def test_a_query_names_metrics_and_labels_that_exist(query: str) -> None:
    assert query.count("(") == query.count(")")
    assert query.count("{") == query.count("}")
    named = re.findall(r"headway_\w+", query.replace('job="headway"', ""))
    labels = {label for series in named for label in family_of(series).labels}
    used = set(re.findall(r"(\w+)\s*(?:=~|!=|!~|=)\s*\"", query))
    for group in re.findall(r"\bby \(([^)]*)\)", query):
        used |= {label.strip() for label in group.split(",")}
    assert used <= labels | ADDED_LABELS


def test_every_family_is_on_the_dashboard() -> None:
    text = json.dumps(dashboard())
    assert [name for name in FAMILIES if name not in text] == []


def test_the_dashboard_has_a_place_for_each_panel() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for panel in panels
        for place in (panel["gridPos"],)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert {x for x, _ in cells} <= set(range(24))


def test_the_scrape_finds_the_page_and_the_alerts() -> None:
    config = yaml.safe_load((DEPLOY / "prometheus.yml").read_text("utf-8"))
    [job] = config["scrape_configs"]
    assert job["job_name"] == "headway"
    assert job["metrics_path"] == "/metrics"
    assert all((DEPLOY / name).is_file() for name in config["rule_files"])


def test_alerts_say_what_is_wrong() -> None:
    rules = [rule for group in alerts()["groups"] for rule in group["rules"]]
    names = [rule["alert"] for rule in rules]
    assert len(set(names)) == len(names) >= 6
    page = (DEPLOY.parent / "docs" / "guides" / "monitoring.md").read_text("utf-8")
    for rule in rules:
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert rule["annotations"]["summary"]
        assert f"`{rule['alert']}`" in page
