"""Compares the objects rendered by the Helm chart with those rendered by kustomize, field by field.

k8s/compare.py <name> <kustomize output> <chart output>
"""

import re
import sys

import yaml

# Labels that only the chart sets.
CHART_LABELS = {"app.kubernetes.io/managed-by", "helm.sh/chart"}

# Objects that only kustomize renders, with the reason.
ONLY_KUSTOMIZE = {
    "local": {
        "Namespace katas": "a Helm release requires an existing namespace",
        "Secret katas-bootstrap": "Helm stores the values of each release",
        "Secret katas-courier": "as above",
        "Secret katas-database-ca": "as above",
        "Secret katas-migrate": "as above",
        "Secret katas-postgres": "as above",
        "Secret katas-postgres-exporter": "as above",
        "Secret katas-rabbitmq": "as above",
        "Secret katas-runtime-config": "as above",
    },
    # A separate kustomization renders the Secrets, namespace and executor of production.
    "production": {},
}
ONLY_KUSTOMIZE["everything"] = ONLY_KUSTOMIZE["rabbitmq"] = ONLY_KUSTOMIZE["local"]
for name in ("split", "keda", "worker", "queue"):
    ONLY_KUSTOMIZE[name] = ONLY_KUSTOMIZE["production"]

# Objects that only the chart renders, with the reason.
ONLY_CHART = {
    "NetworkPolicy app-from-smoke": "kustomize has no `helm test`",
    "NetworkPolicy smoke-to-app": "as above",
}


# Names that end in a hash of the content, which the two tools compute differently.
HASHED = r"^(katas-runtime-config|katas-collector|katas-postgres-exporter|katas-rabbitmq)-[a-z0-9]{10}$"


def title(manifest):
    """Returns kind and name, without the suffix that is specific to a kustomize release (the newest
    migration), to a Helm release (the revision), or to the content of a Secret or a ConfigMap."""
    name = manifest["metadata"]["name"]
    name = re.sub(r"^(katas-migrate-\d+-\d+-\d+)-r?\d+$", r"\1", name)
    name = re.sub(HASHED, r"\1", name)
    return f"{manifest['kind']} {name}"


def read_objects(path):
    """Returns all objects by title, in the order in which they are applied."""
    objects = {}
    with open(path, encoding="utf-8") as file:
        for document in yaml.safe_load_all(file):
            for manifest in document["items"] if document["kind"] == "List" else [document]:
                assert title(manifest) not in objects, f"duplicate {title(manifest)}"
                objects[title(manifest)] = manifest
    return objects


def differences(kustomize, chart, path=""):
    """Yields the differences between two values."""
    if isinstance(kustomize, dict) and isinstance(chart, dict):
        for key in sorted({*kustomize, *chart}):
            if key not in kustomize or key not in chart:
                yield f"{path}/{key} is only in {'the chart' if key in chart else 'kustomize'}"
            else:
                yield from differences(kustomize[key], chart[key], f"{path}/{key}")
    elif isinstance(kustomize, list) and isinstance(chart, list) and len(kustomize) == len(chart):
        for index, pair in enumerate(zip(kustomize, chart)):
            yield from differences(*pair, f"{path}/{index}")
    elif path.endswith("/configMap/name"):
        yield from differences(re.sub(HASHED, r"\1", kustomize), re.sub(HASHED, r"\1", chart), path + "#")
    elif (type(kustomize), kustomize) != (type(chart), chart):
        yield f"{path} is {kustomize!r} in kustomize and {chart!r} in the chart"


def mismatches(name, kustomize, chart):
    """Yields all unexpected differences between two sets of objects."""
    allowed = set(ONLY_KUSTOMIZE[name])
    missing = set(kustomize) - set(chart)
    for key in sorted(missing - allowed):
        yield f"{key} is not in the chart"
    for key in sorted(allowed - missing):
        yield f"{key} is listed in ONLY_KUSTOMIZE, but is in the chart or not in kustomize"
    extra = set(chart) - set(kustomize)
    for key in sorted(extra - set(ONLY_CHART)):
        yield f"{key} is only in the chart"
    for key in sorted(set(ONLY_CHART) - extra):
        yield f"{key} is listed in ONLY_CHART, but is in kustomize or not in the chart"
    for key, manifest in chart.items():
        if key in extra:
            continue
        labels = manifest["metadata"]["labels"]
        chart_label, version = labels.get("helm.sh/chart"), labels.get("app.kubernetes.io/version")
        if chart_label != (f"katas-{version}" if version else None):
            yield f"{key}: the chart version differs from the release version"
        for label in CHART_LABELS:
            labels.pop(label, None)
        kustomize[key]["metadata"]["name"] = manifest["metadata"]["name"]
        for difference in differences(kustomize[key], manifest):
            yield f"{key}: {difference}"
    # The operator rejects a SpinApp without its executor, and the policy does not change existing
    # pods, so these objects and the Job must precede every SpinApp.
    order = [key.split()[0] for key in chart]
    first = order.index("SpinApp")
    for kind in ("SpinAppExecutor", "MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding", "Job"):
        if kind in order[first:]:
            yield f"{kind} comes after the SpinApp"


def main(name, kustomize_file, chart_file):
    kustomize, chart = read_objects(kustomize_file), read_objects(chart_file)
    errors = list(mismatches(name, kustomize, chart))
    for error in errors:
        print(f"{name}: {error}", file=sys.stderr)
    print(f"{name}: {len(set(kustomize) & set(chart))} objects compared")
    sys.exit(bool(errors))


main(*sys.argv[1:])
