"""Checks the queries of rules and dashboards: every metric is one that is emitted (metrics.yaml) or
recorded, every label one that it has, and no comparison can be empty because its sides have different
labels. Then what is said around them, by alerts and panels; that the collector makes of what Spin really
told (spin.yaml) what they ask for; and that there are tests of each alert.

k8s/metrics/queries.py <folder of the component> <file for the rules> <file for the panels' queries>
"""

import json
import pathlib
import re
import sys

import promql_parser as promql
import yaml

HERE = pathlib.Path(__file__).parent
# What Grafana puts in their place.
VARIABLES = {"$namespace": "katas", "$__rate_interval": "5m", "$datasource": "prometheus"}


class Fault(Exception):
    """A query that cannot give what it is meant to."""


class Metrics:
    """What there is to ask for, and which of it somebody asks for."""

    def __init__(self, sources):
        self.emitted = {
            name: {*labels, *source["added"]}
            for source in sources.values()
            for name, labels in source["metrics"].items()
        }
        self.recorded = {}
        self.used = set()

    def labels(self, name):
        """Those of a metric."""
        self.used.add(name)
        found = self.recorded.get(name, self.emitted.get(name))
        if found is None:
            raise Fault(f"{name} is neither emitted nor recorded")
        return found

    def of(self, query):
        """The labels of what a query gives; None is a number."""
        return self.result(promql.parse(query))

    def result(self, it):
        """As above, of what has been parsed."""
        kind = type(it).__name__
        if kind in ("NumberLiteral", "StringLiteral"):
            return None
        if kind == "VectorSelector":
            labels = self.labels(it.name)
            for matcher in it.matchers.matchers:
                want(matcher.name, labels, it.name)
            return set(labels)
        if kind == "MatrixSelector":
            return self.result(it.vector_selector)
        if kind in ("ParenExpr", "UnaryExpr", "SubqueryExpr"):
            return self.result(it.expr)
        if kind == "AggregateExpr":
            return self.aggregate(it)
        if kind == "BinaryExpr":
            return self.binary(it)
        if kind == "Call":
            return self.call(it)
        raise Fault(f"{kind} is not understood")

    def aggregate(self, it):
        """sum, max and so on."""
        labels = self.result(it.expr)
        named = set(it.modifier.labels) if it.modifier else set()
        for label in named:
            want(label, labels, str(it.expr))
        if it.modifier and "Without" in str(it.modifier.type):
            return labels - named
        return labels if str(it.op) in ("topk", "bottomk") and not named else named

    def binary(self, it):
        """Two sides. Those that are matched need the same labels, or else nothing matches."""
        left, right = self.result(it.lhs), self.result(it.rhs)
        if left is None or right is None:
            return right if left is None else left
        matching = it.modifier.matching if it.modifier else None
        if str(it.op) == "or":
            return left & right
        if matching is None and left != right:
            raise Fault(f"{sorted(left ^ right)} is on one side only of {it.op}")
        if matching is not None:
            raise Fault("on() and ignoring() are not understood")
        return left

    def call(self, it):
        """Functions keep labels, but for these."""
        inner = [self.result(arg) for arg in it.args]
        if it.func.name == "histogram_quantile":
            want("le", inner[1], "histogram_quantile")
            return inner[1] - {"le"}
        if it.func.name in ("time", "vector"):
            return None if it.func.name == "time" else set()
        vectors = [labels for labels in inner if labels is not None]
        if len(vectors) != 1 or it.func.name.startswith(("absent", "label_")):
            raise Fault(f"{it.func.name} is not understood")
        return vectors[0]


def want(label, labels, of):
    """A label that something has."""
    if label not in labels:
        raise Fault(f"{of} has no label {label}")


def rules(metrics, groups):
    """Recording rules, in their order, and alerts."""
    for rule in (rule for group in groups for rule in group["rules"]):
        name = rule.get("record") or rule["alert"]
        try:
            labels = metrics.of(rule["expr"]) | set(rule.get("labels", {}))
            if "record" in rule:
                metrics.recorded[name] = labels
                continue
            texts = rule["annotations"]
            for text in texts.values():
                for label in re.findall(r"\$labels\.(\w+)", text):
                    want(label, labels, "the alert")
            if set(texts) != {"summary", "description", "runbook_url"}:
                yield f"{name}: its annotations are {sorted(texts)}"
            if not texts["runbook_url"].endswith(f"/docs/OPERATIONS.md#{name.lower()}"):
                yield f"{name}: the runbook is another's"
            if rule["labels"].get("severity") not in ("critical", "warning"):
                yield f"{name}: no severity"
        except (Fault, ValueError) as fault:
            yield f"{name}: {fault}"


def replaced(query):
    """A query as Grafana sends it."""
    for variable, value in VARIABLES.items():
        query = query.replace(variable, value)
    return query


def panels(metrics, name, dashboard, queries):
    """Every panel says what it shows, and shows something. Its queries are added to `queries`."""
    seen = []
    for panel in dashboard["panels"]:
        of = f"{name}, {panel.get('title')}"
        if not panel.get("title") or not panel.get("description"):
            yield f"{of}: no title or no description"
        if not panel["fieldConfig"]["defaults"].get("unit"):
            yield f"{of}: no unit"
        seen.append((panel["id"], panel["title"]))
        for target in panel["targets"]:
            query = replaced(target["expr"])
            queries.append(query)
            try:
                labels = metrics.of(query)
                for label in re.findall(r"\{\{\s*(\w+)\s*\}\}", target["legendFormat"]):
                    want(label, labels, "the query")
            except (Fault, ValueError) as fault:
                yield f"{of}: {fault}"
    if len({number for number, _ in seen}) < len(seen) or len({it for _, it in seen}) < len(seen):
        yield f"{name}: two panels are the same"
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            metric, label = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]).groups()
            queries.append(metric)
            want(label, metrics.of(metric), metric)


def value(path, span):
    """What a path of the collector's language stands for."""
    attribute = re.fullmatch(r'span\.attributes\["(.+)"\]', path)
    if attribute:
        return span["attributes"].get(attribute[1])
    return {"span.kind": span["kind"], "span.name": span["name"]}[path]


def holds(condition, span):
    """Whether a condition does, as far as that language is used here."""
    for term in condition.split(" and "):
        match = re.fullmatch(r'IsMatch\((.+), "(.+)"\)', term)
        if match:
            found = value(match[1], span)
            true = found is not None and re.search(match[2], found) is not None
        else:
            path, operator, other = re.fullmatch(r'(\S+) (==|!=) (.+)', term).groups()
            other = None if other == "nil" else other.strip('"')
            true = (value(path, span) == other) == (operator == "==")
        if not true:
            return False
    return True


def labels_of(config, span):
    """Those that the collector counts a span with, or None if it drops it."""
    if any(holds(it, span) for it in config["processors"]["filter/requests"]["trace_conditions"]):
        return None
    span = {**span, "attributes": dict(span["attributes"])}
    for statement in config["processors"]["transform/labels"]["trace_statements"]:
        key, text, condition = re.fullmatch(
            r'set\(span\.attributes\["(.+?)"\], "(.+?)"\) where (.+)', statement
        ).groups()
        if holds(condition, span):
            span["attributes"][key] = text
    names = [it["name"] for it in config["connectors"]["span_metrics"]["dimensions"]]
    return {name: span["attributes"][name] for name in names if name in span["attributes"]}


def collected(config, spin, source):
    """What Spin has told becomes the labels that are meant, its metrics are those that queries know, and
    of each route of spin.toml the collector knows the component."""
    for span in spin["spans"]:
        if labels_of(config, span) != span.get("labels"):
            yield f"{span['name']}, {span['attributes']}: the collector makes {labels_of(config, span)}"
    told = {name.replace(".", "_"): labels for name, labels in spin["metrics"].items()}
    for metric, labels in source["metrics"].items():
        if told.get(re.sub("_(total|sum|count)$", "", metric)) != labels:
            yield f"{metric}: Spin does not tell it, or with other attributes"
    manifest = pathlib.Path("spin.toml").read_text(encoding="utf-8")
    for route, component in re.findall(r'route = "(.+)"\ncomponent = "(.+)"', manifest):
        span = {"kind": "SPAN_KIND_SERVER", "name": route, "attributes": {"http.route": route}}
        said = labels_of(config, span)["component"]
        if said != component:
            yield f"collector-config.yaml: {route} is {component}'s, not {said}'s"


def pipelines(config, spans):
    """What the collector's pipelines name is there, and nothing else; what it makes of spans has the
    labels that metrics.yaml says."""
    used = {"extensions": set(config["service"]["extensions"])}
    for pipeline in config["service"]["pipelines"].values():
        for part, names in pipeline.items():
            used.setdefault(part, set()).update(names)
    connectors = set(config["connectors"])
    for part, names in used.items():
        known = set(config[part])
        for name in sorted((names - connectors) ^ known):
            yield f"collector-config.yaml: {part} {name} is {'defined' if name in known else 'used'} only"
    for connector in sorted(connectors):
        if not {connector} <= used["receivers"] & used["exporters"]:
            yield f"collector-config.yaml: {connector} connects nothing"
    settings = config["connectors"]["span_metrics"]
    default = {"service.name", "span.name", "span.kind", "status.code"} - set(settings["exclude_dimensions"])
    labels = {name.replace(".", "_") for name in default | {it["name"] for it in settings["dimensions"]}}
    for metric, said in spans["metrics"].items():
        if set(said) - {"le"} != labels:
            yield f"{metric}: the collector makes the labels {sorted(labels)}"


def tests(groups, document):
    """Each alert fires in one of them, and does not in another."""
    alerts = {rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule}
    fires, silent = set(), set()
    for test in (it for test in document["tests"] for it in test.get("alert_rule_test", [])):
        (fires if test.get("exp_alerts") else silent).add(test["alertname"])
    for alert in sorted(alerts - fires):
        yield f"{alert}: no test lets it fire"
    for alert in sorted(alerts - silent):
        yield f"{alert}: no test keeps it silent"


def load(path):
    """A YAML document."""
    with open(path, encoding="utf-8") as file:
        return yaml.safe_load(file)


def main(component, rules_file, panels_file):
    component = pathlib.Path(component)
    sources = load(HERE / "metrics.yaml")
    metrics = Metrics(sources)
    groups = load(component / "rules.yaml")["spec"]["groups"]
    wrong = list(rules(metrics, groups))
    queries = []
    for path in sorted(component.glob("dashboards/*.json")):
        wrong += panels(metrics, path.name, json.loads(path.read_text(encoding="utf-8")), queries)
    config = load(component / "collector-config.yaml")
    wrong += collected(config, load(HERE / "spin.yaml"), sources["spin"])
    wrong += pipelines(config, sources["spans"])
    wrong += tests(groups, load(HERE / "rules.test.yaml"))
    for name in sorted(set(metrics.emitted) | set(metrics.recorded)):
        if name not in metrics.used:
            wrong.append(f"nothing uses {name}")
    for fault in wrong:
        print(fault, file=sys.stderr)
    with open(rules_file, "w", encoding="utf-8") as file:
        yaml.safe_dump({"groups": groups}, file)
    panels_rules = [{"record": f"panel:{n}", "expr": query} for n, query in enumerate(queries)]
    with open(panels_file, "w", encoding="utf-8") as file:
        yaml.safe_dump({"groups": [{"name": "panels", "rules": panels_rules}]}, file)
    print(f"{len(queries)} queries of panels, {len(metrics.recorded)} recorded metrics")
    sys.exit(bool(wrong))


main(*sys.argv[1:])
