"""The Helm chart as files: this release's version, and values that its own schema allows. `make packages` renders it."""

import json

import jsonschema
from deployed import DEPLOY, read_yaml

import syncd

CHART = DEPLOY / "helm" / "syncd"
SCHEMA = json.loads((CHART / "values.schema.json").read_text())


def test_the_chart_is_this_release() -> None:
    chart = read_yaml(CHART / "Chart.yaml")

    assert (chart["version"], chart["appVersion"]) == (syncd.__version__, syncd.__version__)


def test_the_schema_knows_every_value_and_allows_the_defaults() -> None:
    values = read_yaml(CHART / "values.yaml")

    jsonschema.validate(values, SCHEMA)
    assert values.keys() == SCHEMA["properties"].keys() - {"global"}
