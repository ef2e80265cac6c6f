"""Checks recording rules, alerts and dashboards: every query uses only metrics that are emitted
(metrics.yaml) or recorded, and labels that they have, and no comparison is empty because its sides have
different labels. Also checks annotations and panels, that the collector derives the expected labels from
telemetry recorded from Spin (spin.yaml), and that every alert has tests.

k8s/metrics/queries.py <folder of the component> <output file for rules> <output file for panel queries>
"""

import json
import pathlib
import re
import sys

import promql_parser as promql
import yaml

HERE = pathlib.Path(__file__).parent
# Values that Grafana substitutes.
VARIABLES = {"$namespace": "katas", "$__rate_interval": "5m", "$datasource": "prometheus"}


class QueryError(Exception):
    """A query that cannot return the intended result."""


class Metrics:
    """The known metrics with their labels, and which of them queries use."""

    def __init__(self, sources):
        self.emitted = {
            name: {*labels, *source["added"]}
            for source in sources.values()
            for name, labels in source["metrics"].items()
        }
        self.recorded = {}
        self.used = set()

    def metric_labels(self, name):
        """Returns the labels of a metric."""
        self.used.add(name)
        labels = self.recorded.get(name, self.emitted.get(name))
        if labels is None:
            raise QueryError(f"{name} is neither emitted nor recorded")
        return labels

    def query_labels(self, query):
        """Returns the labels of a query's result, or None for a scalar."""
        return self.expression_labels(promql.parse(query))

    def expression_labels(self, expression):
        """Returns the labels of a parsed expression's result, or None for a scalar."""
        kind = type(expression).__name__
        if kind in ("NumberLiteral", "StringLiteral"):
            return None
        if kind == "VectorSelector":
            labels = self.metric_labels(expression.name)
            for matcher in expression.matchers.matchers:
                require_label(matcher.name, labels, expression.name)
            return set(labels)
        if kind == "MatrixSelector":
            return self.expression_labels(expression.vector_selector)
        if kind in ("ParenExpr", "UnaryExpr", "SubqueryExpr"):
            return self.expression_labels(expression.expr)
        if kind == "AggregateExpr":
            return self.aggregation_labels(expression)
        if kind == "BinaryExpr":
            return self.binary_labels(expression)
        if kind == "Call":
            return self.call_labels(expression)
        raise QueryError(f"unsupported expression {kind}")

    def aggregation_labels(self, aggregation):
        """Returns the labels of sum(), max() and so on."""
        labels = self.expression_labels(aggregation.expr)
        named = set(aggregation.modifier.labels) if aggregation.modifier else set()
        for label in named:
            require_label(label, labels, str(aggregation.expr))
        if aggregation.modifier and "Without" in str(aggregation.modifier.type):
            return labels - named
        return labels if str(aggregation.op) in ("topk", "bottomk") and not named else named

    def binary_labels(self, binary):
        """Returns the labels of a binary operation, whose sides match only if they have the same labels."""
        left, right = self.expression_labels(binary.lhs), self.expression_labels(binary.rhs)
        if left is None or right is None:
            return right if left is None else left
        matching = binary.modifier.matching if binary.modifier else None
        if str(binary.op) == "or":
            return left & right
        if matching is None and left != right:
            raise QueryError(f"labels {sorted(left ^ right)} are on only one side of {binary.op}")
        if matching is not None:
            raise QueryError("on() and ignoring() are not supported")
        return left

    def call_labels(self, call):
        """Returns the labels of a function call; most functions keep those of their argument."""
        arguments = [self.expression_labels(argument) for argument in call.args]
        if call.func.name == "histogram_quantile":
            require_label("le", arguments[1], "histogram_quantile")
            return arguments[1] - {"le"}
        if call.func.name in ("time", "vector"):
            return None if call.func.name == "time" else set()
        vectors = [labels for labels in arguments if labels is not None]
        if len(vectors) != 1 or call.func.name.startswith(("absent", "label_")):
            raise QueryError(f"unsupported function {call.func.name}")
        return vectors[0]


def require_label(label, labels, subject):
    """Raises an error if a label is missing."""
    if label not in labels:
        raise QueryError(f"{subject} has no label {label}")


def rule_errors(metrics, groups):
    """Checks recording rules and alerts in evaluation order."""
    for rule in (rule for group in groups for rule in group["rules"]):
        name = rule.get("record") or rule["alert"]
        try:
            labels = metrics.query_labels(rule["expr"]) | set(rule.get("labels", {}))
            if "record" in rule:
                metrics.recorded[name] = labels
                continue
            annotations = rule["annotations"]
            for text in annotations.values():
                for label in re.findall(r"\$labels\.(\w+)", text):
                    require_label(label, labels, "the alert")
            if set(annotations) != {"summary", "description", "runbook_url"}:
                yield f"{name}: unexpected annotations {sorted(annotations)}"
            if not annotations["runbook_url"].endswith(f"/docs/OPERATIONS.md#{name.lower()}"):
                yield f"{name}: runbook_url does not match the alert"
            if rule["labels"].get("severity") not in ("critical", "warning"):
                yield f"{name}: no severity"
        except (QueryError, ValueError) as error:
            yield f"{name}: {error}"


def substitute(query):
    """Replaces Grafana's variables in a query."""
    for variable, value in VARIABLES.items():
        query = query.replace(variable, value)
    return query


def dashboard_errors(metrics, name, dashboard, queries):
    """Checks the panels of a dashboard and appends their queries to `queries`."""
    ids, titles = set(), set()
    for panel in dashboard["panels"]:
        subject = f"{name}, {panel.get('title')}"
        if not panel.get("title") or not panel.get("description"):
            yield f"{subject}: no title or no description"
        if not panel["fieldConfig"]["defaults"].get("unit"):
            yield f"{subject}: no unit"
        ids.add(panel["id"])
        titles.add(panel["title"])
        for target in panel["targets"]:
            query = substitute(target["expr"])
            queries.append(query)
            try:
                labels = metrics.query_labels(query)
                for label in re.findall(r"\{\{\s*(\w+)\s*\}\}", target["legendFormat"]):
                    require_label(label, labels, "the query")
            except (QueryError, ValueError) as error:
                yield f"{subject}: {error}"
    if min(len(ids), len(titles)) < len(dashboard["panels"]):
        yield f"{name}: two panels have the same id or title"
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            metric, label = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]).groups()
            queries.append(metric)
            require_label(label, metrics.query_labels(metric), metric)


def span_value(path, span):
    """Returns the value of an OTTL path for a span."""
    attribute = re.fullmatch(r'span\.attributes\["(.+)"\]', path)
    if attribute:
        return span["attributes"].get(attribute[1])
    return {"span.kind": span["kind"], "span.name": span["name"]}[path]


def matches(condition, span):
    """Evaluates an OTTL condition; supports only the syntax that the configuration uses."""
    for term in condition.split(" and "):
        match = re.fullmatch(r'IsMatch\((.+), "(.+)"\)', term)
        if match:
            value = span_value(match[1], span)
            result = value is not None and re.search(match[2], value) is not None
        else:
            path, operator, operand = re.fullmatch(r'(\S+) (==|!=) (.+)', term).groups()
            operand = None if operand == "nil" else operand.strip('"')
            result = (span_value(path, span) == operand) == (operator == "==")
        if not result:
            return False
    return True


def span_labels(config, span):
    """Returns the labels with which the collector counts a span, or None if it drops the span."""
    conditions = config["processors"]["filter/requests"]["trace_conditions"]
    if any(matches(condition, span) for condition in conditions):
        return None
    span = {**span, "attributes": dict(span["attributes"])}
    for statement in config["processors"]["transform/labels"]["trace_statements"]:
        key, text, condition = re.fullmatch(
            r'set\(span\.attributes\["(.+?)"\], "(.+?)"\) where (.+)', statement
        ).groups()
        if matches(condition, span):
            span["attributes"][key] = text
    names = [dimension["name"] for dimension in config["connectors"]["span_metrics"]["dimensions"]]
    return {name: span["attributes"][name] for name in names if name in span["attributes"]}


def telemetry_errors(config, spin, source):
    """Checks that the collector derives the expected labels from Spin's spans, that Spin emits the metrics
    that queries use, and that the collector maps every route of spin.toml to its component."""
    for span in spin["spans"]:
        labels = span_labels(config, span)
        if labels != span.get("labels"):
            yield f"{span['name']}, {span['attributes']}: the collector derives {labels}"
    emitted = {name.replace(".", "_"): labels for name, labels in spin["metrics"].items()}
    for metric, labels in source["metrics"].items():
        if emitted.get(re.sub("_(total|sum|count)$", "", metric)) != labels:
            yield f"{metric}: Spin does not emit it, or with other attributes"
    manifest = pathlib.Path("spin.toml").read_text(encoding="utf-8")
    for route, component in re.findall(r'route = "(.+)"\ncomponent = "(.+)"', manifest):
        span = {"kind": "SPAN_KIND_SERVER", "name": route, "attributes": {"http.route": route}}
        mapped = span_labels(config, span)["component"]
        if mapped != component:
            yield f"collector-config.yaml: {route} maps to {mapped}, expected {component}"


def pipeline_errors(config, spans):
    """Checks that the pipelines use exactly the defined parts, and that the metrics derived from spans have
    the labels in metrics.yaml."""
    used = {"extensions": set(config["service"]["extensions"])}
    for pipeline in config["service"]["pipelines"].values():
        for part, names in pipeline.items():
            used.setdefault(part, set()).update(names)
    connectors = set(config["connectors"])
    for part, names in used.items():
        defined = set(config[part])
        for name in sorted((names - connectors) ^ defined):
            state = "defined but not used" if name in defined else "used but not defined"
            yield f"collector-config.yaml: {part} {name} is {state}"
    for connector in sorted(connectors):
        if not {connector} <= used["receivers"] & used["exporters"]:
            yield f"collector-config.yaml: {connector} does not connect two pipelines"
    settings = config["connectors"]["span_metrics"]
    default = {"collector.instance.id", "service.name", "span.name", "span.kind", "status.code"} - set(settings["exclude_dimensions"])
    dimensions = {dimension["name"] for dimension in settings["dimensions"]}
    labels = {name.replace(".", "_") for name in default | dimensions}
    for metric, expected in spans["metrics"].items():
        if set(expected) - {"le"} != labels:
            yield f"{metric}: the collector emits the labels {sorted(labels)}"


def exposed_series(path):
    """Returns the series of a recorded exposition: name and labels."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if sample := re.fullmatch(r"(\w+)(?:\{(.*)\})? \S+", line):
            yield sample[1], dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', sample[2] or ""))


def recording_errors(sources):
    """Checks that the recorded expositions contain the metrics in metrics.yaml with the same labels."""
    for source in (source for source in sources.values() if "recording" in source):
        exposed = {}
        for name, labels in exposed_series(HERE / source["recording"]):
            # Prometheus renames these labels when it scrapes.
            renamed = {f"exported_{label}" if label in ("job", "instance") else label for label in labels}
            exposed.setdefault(name, set()).update(renamed)
        for name, labels in source["metrics"].items():
            expected = {*labels, *(label for label in source["added"] if label.startswith("exported_"))}
            if exposed.get(name) != expected:
                yield f"{name}: {source['recording']} has the labels {sorted(exposed.get(name, ()))}"


def collector_errors(spin, sources, queries):
    """Checks that the recorded collector counted Spin's spans with the expected labels, and has the buckets
    that queries use."""
    expected = {frozenset((key.replace(".", "_"), text) for key, text in span["labels"].items())
                for span in spin["spans"] if "labels" in span}
    names = {label for series in expected for label, _ in series}
    counted, buckets = set(), set()
    for name, labels in exposed_series(HERE / sources["spans"]["recording"]):
        if name == "traces_span_metrics_calls_total":
            counted.add(frozenset((label, text) for label, text in labels.items() if label in names))
        if name == "traces_span_metrics_duration_seconds_bucket":
            buckets.add(labels["le"])
    for series in sorted(map(sorted, counted ^ expected)):
        yield f"the collector counts the spans {dict(series)}" + ("" if frozenset(series) in counted else " not")
    for query in queries:
        for bucket in re.findall(r'\ble="([^"]+)"', query):
            if bucket not in buckets:
                yield f"the collector has no bucket le={bucket}"


def test_errors(groups, document):
    """Checks that every alert has a test in which it fires and one in which it is silent."""
    alerts = {rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule}
    firing, silent = set(), set()
    for case in (case for test in document["tests"] for case in test.get("alert_rule_test", [])):
        (firing if case.get("exp_alerts") else silent).add(case["alertname"])
    for alert in sorted(alerts - firing):
        yield f"{alert}: no test in which it fires"
    for alert in sorted(alerts - silent):
        yield f"{alert}: no test in which it is silent"


def load(path):
    """Reads a YAML document."""
    with open(path, encoding="utf-8") as file:
        return yaml.safe_load(file)


def main(component, rules_file, panels_file):
    component = pathlib.Path(component)
    sources = load(HERE / "metrics.yaml")
    metrics = Metrics(sources)
    groups = load(component / "rules.yaml")["spec"]["groups"]
    errors = list(rule_errors(metrics, groups))
    queries = []
    for path in sorted(component.glob("dashboards/*.json")):
        dashboard = json.loads(path.read_text(encoding="utf-8"))
        errors += dashboard_errors(metrics, path.name, dashboard, queries)
    config = load(component / "collector-config.yaml")
    spin = load(HERE / "spin.yaml")
    errors += telemetry_errors(config, spin, sources["spin"])
    errors += recording_errors(sources)
    errors += collector_errors(spin, sources, [*queries, *(rule["expr"] for group in groups for rule in group["rules"])])
    errors += pipeline_errors(config, sources["spans"])
    errors += test_errors(groups, load(HERE / "rules.test.yaml"))
    for name in sorted(set(metrics.emitted) | set(metrics.recorded)):
        if name not in metrics.used:
            errors.append(f"{name} is not used by any query")
    for error in errors:
        print(error, file=sys.stderr)
    with open(rules_file, "w", encoding="utf-8") as file:
        yaml.safe_dump({"groups": groups}, file)
    panel_rules = [{"record": f"panel:{n}", "expr": query} for n, query in enumerate(queries)]
    with open(panels_file, "w", encoding="utf-8") as file:
        yaml.safe_dump({"groups": [{"name": "panels", "rules": panel_rules}]}, file)
    print(f"{len(queries)} panel queries, {len(metrics.recorded)} recorded metrics")
    sys.exit(bool(errors))


main(*sys.argv[1:])
