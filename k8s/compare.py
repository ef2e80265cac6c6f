"""Compares what the Helm chart renders with what kustomize does: object by object, field by field.

k8s/compare.py <name> <of kustomize> <of the chart>
"""

import re
import sys

import yaml

# What the chart says about itself.
OWN_LABELS = {"app.kubernetes.io/managed-by", "helm.sh/chart"}

# Everything else in which the two differ, with the reason: objects that kustomize alone has.
ONLY_KUSTOMIZE = {
    "local": {
        "Namespace katas": "a release is in a namespace that is there",
        "Secret katas-bootstrap": "Helm keeps the values of each release",
        "Secret katas-database-ca": "as above",
        "Secret katas-migrate": "as above",
        "Secret katas-postgres": "as above",
        "Secret katas-postgres-exporter": "as above",
        "Secret katas-runtime-config": "as above",
    },
    # The Secrets of production, and with them namespace and executor, are another kustomization.
    "production": {},
}
ONLY_KUSTOMIZE["everything"] = ONLY_KUSTOMIZE["local"]
ONLY_KUSTOMIZE["split"] = ONLY_KUSTOMIZE["keda"] = ONLY_KUSTOMIZE["production"]

# Objects that the chart alone has.
ONLY_CHART = {
    "NetworkPolicy app-from-smoke": "kustomize has no `helm test`",
    "NetworkPolicy smoke-to-app": "as above",
}


# Names that end with a hash of the content, each tool's own.
HASHED = r"^(katas-runtime-config|katas-collector|katas-postgres-exporter)-[a-z0-9]{10}$"


def title(thing):
    """Kind and name, without what is unique to a release of kustomize (the newest migration), of Helm
    (the revision), or to the content of a Secret or a ConfigMap."""
    name = thing["metadata"]["name"]
    name = re.sub(r"^(katas-migrate-\d+-\d+-\d+)-r?\d+$", r"\1", name)
    name = re.sub(HASHED, r"\1", name)
    return f"{thing['kind']} {name}"


def objects(path):
    """All, by title, in the order in which they are applied."""
    found = {}
    with open(path, encoding="utf-8") as file:
        for document in yaml.safe_load_all(file):
            for thing in document["items"] if document["kind"] == "List" else [document]:
                assert title(thing) not in found, f"two of {title(thing)}"
                found[title(thing)] = thing
    return found


def differences(ours, charts, path=""):
    """Where two values differ."""
    if isinstance(ours, dict) and isinstance(charts, dict):
        for key in sorted({*ours, *charts}):
            if key not in ours or key not in charts:
                yield f"{path}/{key} is only in {'the chart' if key in charts else 'kustomize'}"
            else:
                yield from differences(ours[key], charts[key], f"{path}/{key}")
    elif isinstance(ours, list) and isinstance(charts, list) and len(ours) == len(charts):
        for index, pair in enumerate(zip(ours, charts)):
            yield from differences(*pair, f"{path}/{index}")
    elif path.endswith("/configMap/name"):
        yield from differences(re.sub(HASHED, r"\1", ours), re.sub(HASHED, r"\1", charts), path + "#")
    elif (type(ours), ours) != (type(charts), charts):
        yield f"{path} is {ours!r} with kustomize and {charts!r} in the chart"


def faults(name, ours, charts):
    """Everything in which they differ and should not."""
    allowed = set(ONLY_KUSTOMIZE[name])
    missing = set(ours) - set(charts)
    for it in sorted(missing - allowed):
        yield f"{it} is not in the chart"
    for it in sorted(allowed - missing):
        yield f"{it} is said to be missing in the chart, and is not"
    extra = set(charts) - set(ours)
    for it in sorted(extra - set(ONLY_CHART)):
        yield f"{it} is only in the chart"
    for it in sorted(set(ONLY_CHART) - extra):
        yield f"{it} is said to be only in the chart, and is not"
    for it, chart in charts.items():
        if it in extra:
            continue
        labels = chart["metadata"]["labels"]
        if labels.get("helm.sh/chart") != f"katas-{labels.get('app.kubernetes.io/version')}":
            yield f"{it}: the chart has another version than the release"
        for label in OWN_LABELS:
            labels.pop(label, None)
        ours[it]["metadata"]["name"] = chart["metadata"]["name"]
        for difference in differences(ours[it], chart):
            yield f"{it}: {difference}"
    # The operator refuses a SpinApp without its executor, and a pod that is older than the policy goes
    # without. Nothing has to come after a SpinApp, but for what the alphabet puts there.
    order = [it.split()[0] for it in charts]
    first = order.index("SpinApp")
    for kind in ("SpinAppExecutor", "MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding", "Job"):
        if kind in order[first:]:
            yield f"{kind} comes after the SpinApp"


def main(name, kustomize, chart):
    ours, charts = objects(kustomize), objects(chart)
    wrong = list(faults(name, ours, charts))
    for fault in wrong:
        print(f"{name}: {fault}", file=sys.stderr)
    print(f"{name}: {len(set(ours) & set(charts))} objects are the same")
    sys.exit(bool(wrong))


main(*sys.argv[1:])
