//! Names: whatever an object refers to is there.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::objects::{Labels, Objects, labels, list, name, selects, text, title};
use super::pods::containers;

/// Secrets that somebody else makes.
const MADE_ELSEWHERE: [&str; 2] = [
    "katas-tls",    // cert-manager, because the Gateway or the Ingress asks for it
    "katas-backup", // the operator: keys of the bucket
];

/// All of them do.
pub(super) fn resolve(objects: &Objects) -> Vec<String> {
    let mut faults = Vec::new();
    for object in objects.all() {
        let mut missing = |kind: &str, wanted: Option<&str>| {
            let Some(wanted) = wanted else { return };
            let elsewhere = kind == "Secret" && MADE_ELSEWHERE.contains(&wanted);
            if !elsewhere && !objects.has(kind, wanted) {
                faults.push(format!("{}: there is no {kind} {wanted}", title(object)));
            }
        };
        match object["kind"].as_str().unwrap_or_default() {
            "SpinApp" => {
                missing("Secret", text(object, "/spec/runtimeConfig/loadFromSecret"));
                missing("ServiceAccount", text(object, "/spec/serviceAccountName"));
            }
            "SpinAppExecutor" => {
                missing("Secret", text(object, "/spec/deploymentConfig/caCertSecret"));
                let otel = object.pointer("/spec/deploymentConfig/otel");
                for endpoint in otel.and_then(Value::as_object).into_iter().flatten() {
                    let address = endpoint.1.as_str().and_then(|it| it.strip_prefix("http://"));
                    missing("Service", address.and_then(|it| Some(it.split_once(':')?.0)));
                }
            }
            "Cluster" => {
                missing("Secret", text(object, "/spec/bootstrap/initdb/secret/name"));
                missing("Secret", text(object, "/spec/certificates/serverCASecret"));
                for queries in list(object, "/spec/monitoring/customQueriesConfigMap") {
                    missing("ConfigMap", text(queries, "/name"));
                }
                for plugin in list(object, "/spec/plugins") {
                    missing("ObjectStore", text(plugin, "/parameters/barmanObjectName"));
                }
            }
            "ObjectStore" => {
                for key in ["accessKeyId", "secretAccessKey"] {
                    let pointer = format!("/spec/configuration/s3Credentials/{key}/name");
                    missing("Secret", text(object, &pointer));
                }
            }
            "Pooler" | "ScheduledBackup" => missing("Cluster", text(object, "/spec/cluster/name")),
            "StatefulSet" => missing("Service", text(object, "/spec/serviceName")),
            "Gateway" => {
                for listener in list(object, "/spec/listeners") {
                    missing("Secret", text(listener, "/tls/certificateRefs/0/name"));
                }
            }
            "Ingress" => missing("Secret", text(object, "/spec/tls/0/secretName")),
            "HTTPRoute" => missing("Gateway", text(object, "/spec/parentRefs/0/name")),
            "HorizontalPodAutoscaler" | "ScaledObject" => {
                missing("SpinApp", text(object, "/spec/scaleTargetRef/name"));
            }
            "MutatingAdmissionPolicyBinding" => {
                missing("MutatingAdmissionPolicy", text(object, "/spec/policyName"));
            }
            _ => {}
        }
        let namespace = text(object, "/metadata/namespace");
        let is_of_the_cluster = text(object, "/kind")
            .is_some_and(|kind| kind == "Namespace" || kind.starts_with("MutatingAdmissionPolicy"));
        if is_of_the_cluster == namespace.is_some() || namespace.is_some_and(|it| it != "katas") {
            faults.push(format!("{}: its namespace is {namespace:?}", title(object)));
        }
    }
    faults.extend(files(objects));
    faults.extend(config_maps(objects));
    faults.extend(scraped(objects));
    faults.extend(selectors(objects));
    faults.extend(listeners(objects));
    faults.extend(scalers(objects));
    for (of, service, port) in backends(objects) {
        if services(objects).get(&service).is_none_or(|ports| !ports.contains(&port)) {
            faults.push(format!("{of}: there is no Service {service} with port {port}"));
        }
    }
    faults
}

/// Files that containers are told of are keys of Secrets that are mounted there.
fn files(objects: &Objects) -> Vec<String> {
    let mut faults = Vec::new();
    for pod in objects.pods() {
        let Some(spec) = &pod.spec else { continue };
        let account = text(spec, "/serviceAccountName").unwrap_or("default");
        if !objects.has("ServiceAccount", account) {
            faults.push(format!("{}: there is no ServiceAccount {account}", pod.of));
        }
        for container in containers(spec) {
            let values = list(container, "/env").iter().filter_map(|it| text(it, "/value"));
            let args = list(container, "/args").iter().filter_map(Value::as_str);
            for path in values.chain(args).filter_map(|it| Some(&it[it.find("/run/secrets/")?..])) {
                if !is_mounted(objects, spec, container, path) {
                    faults.push(format!("{}: there is no {path}", pod.of));
                }
            }
        }
    }
    faults
}

/// Keys of ConfigMaps: what containers are told to read, and what dashboards are made of.
fn config_maps(objects: &Objects) -> Vec<String> {
    let mut faults = Vec::new();
    let mut key = |of: &str, map: Option<&str>, key: &str| {
        let map = objects.of("ConfigMap").find(|it| Some(name(it)) == map);
        if map.is_none_or(|map| map["data"].get(key).is_none()) {
            faults.push(format!("{of}: there is no ConfigMap with {key}"));
        }
    };
    for pod in objects.pods() {
        let Some(spec) = &pod.spec else { continue };
        for volume in list(spec, "/volumes").iter().filter(|it| it.get("configMap").is_some()) {
            let mount = containers(spec).find_map(|container| {
                let mount = list(container, "/volumeMounts");
                Some((container, mount.iter().find(|it| it["name"] == volume["name"])?))
            });
            let Some((container, mount)) = mount else { continue };
            let folder = format!("{}/", text(mount, "/mountPath").unwrap_or_default());
            let words = ["/command", "/args"].into_iter().flat_map(|it| list(container, it));
            let words: String = words.filter_map(Value::as_str).flat_map(|it| [it, " "]).collect();
            let file = words.split(&folder).nth(1).and_then(|it| it.split(' ').next());
            key(&pod.of, text(volume, "/configMap/name"), file.unwrap_or("what is mounted"));
        }
    }
    for dashboard in objects.of("GrafanaDashboard") {
        let wanted = &dashboard["spec"]["configMapRef"];
        key(&title(dashboard), wanted["name"].as_str(), wanted["key"].as_str().unwrap_or_default());
    }
    faults
}

/// The ports that Prometheus asks are there, as far as the pods are ours, and it may ask them.
fn scraped(objects: &Objects) -> Vec<String> {
    let mut faults = Vec::new();
    for monitor in objects.of("PodMonitor") {
        let selector = &monitor["spec"]["selector"];
        for pod in objects.pods().into_iter().filter(|pod| selects(selector, &pod.labels)) {
            for endpoint in list(monitor, "/spec/podMetricsEndpoints") {
                let port = match &pod.spec {
                    Some(spec) => containers(spec)
                        .flat_map(|it| list(it, "/ports"))
                        .find(|it| it["name"] == endpoint["port"])
                        .and_then(|it| it["containerPort"].as_u64()),
                    // As CloudNativePG names them.
                    None if pod.labels.contains_key("cnpg.io/poolerName") => Some(9127),
                    None => Some(9187),
                };
                let open = port.is_some_and(|port| prometheus_may_ask(objects, &pod.labels, port));
                if !open {
                    faults.push(format!("{}: cannot ask {}", title(monitor), pod.of));
                }
            }
        }
    }
    faults
}

fn prometheus_may_ask(objects: &Objects, pod: &Labels, port: u64) -> bool {
    let policies = objects.of("NetworkPolicy");
    let mut rules = policies
        .filter(|policy| selects(&policy["spec"]["podSelector"], pod))
        .flat_map(|policy| list(policy, "/spec/ingress"));
    rules.any(|rule| {
        let from = rule.pointer("/from/0/namespaceSelector/matchLabels");
        from.is_some_and(|it| it["kubernetes.io/metadata.name"] == "monitoring")
            && list(rule, "/ports").iter().any(|it| it["port"] == port)
    })
}

fn is_mounted(objects: &Objects, spec: &Value, container: &Value, path: &str) -> bool {
    let (folder, key) = path.rsplit_once('/').expect("a path");
    let mount = list(container, "/volumeMounts").iter().find(|it| it["mountPath"] == folder);
    let volume = mount.and_then(|mount| {
        list(spec, "/volumes").iter().find(|volume| volume["name"] == mount["name"])
    });
    let secret = volume.and_then(|volume| text(volume, "/secret/secretName"));
    let secret = secret.and_then(|secret| objects.of("Secret").find(|it| name(it) == secret));
    secret.is_some_and(|secret| secret["data"].get(key).is_some())
}

/// What selects pods selects some.
fn selectors(objects: &Objects) -> Vec<String> {
    let pods = objects.pods();
    let mut faults = Vec::new();
    for (kind, pointer) in [
        ("PodDisruptionBudget", "/spec/selector"),
        ("NetworkPolicy", "/spec/podSelector"),
        ("StatefulSet", "/spec/selector"),
        ("Deployment", "/spec/selector"),
        ("PodMonitor", "/spec/selector"),
    ] {
        for object in objects.of(kind) {
            let selector = object.pointer(pointer).expect("a selector");
            if !pods.iter().any(|pod| selects(selector, &pod.labels)) {
                faults.push(format!("{}: selects no pod", title(object)));
            }
        }
    }
    for service in objects.of("Service") {
        let wanted = labels(service, "/spec/selector");
        let selected = |labels: &BTreeMap<String, String>| {
            wanted.iter().all(|(key, value)| labels.get(key) == Some(value))
        };
        // One without a selector has no pods on purpose.
        if !wanted.is_empty() && !pods.iter().any(|pod| selected(&pod.labels)) {
            faults.push(format!("{}: selects no pod", title(service)));
        }
    }
    faults
}

fn listeners(objects: &Objects) -> Vec<String> {
    let mut faults = Vec::new();
    for route in objects.of("HTTPRoute") {
        let section = &route["spec"]["parentRefs"][0]["sectionName"];
        let mut listeners = objects.of("Gateway").flat_map(|it| list(it, "/spec/listeners"));
        if !listeners.any(|listener| listener["name"] == *section) {
            faults.push(format!("{}: there is no listener {section}", title(route)));
        }
    }
    faults
}

/// Who leaves the number of its pods to others is scaled by exactly one.
fn scalers(objects: &Objects) -> Vec<String> {
    let scalers = || objects.of("HorizontalPodAutoscaler").chain(objects.of("ScaledObject"));
    let mut faults = Vec::new();
    for app in objects.of("SpinApp") {
        let count =
            scalers().filter(|it| it["spec"]["scaleTargetRef"]["name"] == name(app)).count();
        let wanted = usize::from(app["spec"]["enableAutoscaling"] == true);
        if count != wanted {
            faults.push(format!("{}: scaled by {count}", title(app)));
        }
    }
    faults
}

/// Services and their ports, those that operators make included.
pub(super) fn services(objects: &Objects) -> BTreeMap<String, BTreeSet<u64>> {
    let mut services = BTreeMap::new();
    for service in objects.of("Service") {
        let ports = list(service, "/spec/ports").iter().filter_map(|port| port["port"].as_u64());
        services.insert(name(service).to_owned(), ports.collect());
    }
    for app in objects.of("SpinApp") {
        services.insert(name(app).to_owned(), BTreeSet::from([80]));
    }
    for pooler in objects.of("Pooler") {
        services.insert(name(pooler).to_owned(), BTreeSet::from([5432]));
    }
    for cluster in objects.of("Cluster") {
        for suffix in ["rw", "ro", "r"] {
            services.insert(format!("{}-{suffix}", name(cluster)), BTreeSet::from([5432]));
        }
    }
    services
}

/// Where Ingresses and HTTPRoutes lead.
fn backends(objects: &Objects) -> Vec<(String, String, u64)> {
    let mut backends = Vec::new();
    for route in objects.of("HTTPRoute") {
        for backend in list(route, "/spec/rules").iter().flat_map(|it| list(it, "/backendRefs")) {
            backends.push((title(route), backend["name"].clone(), backend["port"].clone()));
        }
    }
    for ingress in objects.of("Ingress") {
        for path in list(ingress, "/spec/rules").iter().flat_map(|it| list(it, "/http/paths")) {
            let service = &path["backend"]["service"];
            backends.push((
                title(ingress),
                service["name"].clone(),
                service["port"]["number"].clone(),
            ));
        }
    }
    let known = |(of, name, port): (String, Value, Value)| {
        (of, name.as_str().unwrap_or_default().to_owned(), port.as_u64().unwrap_or_default())
    };
    backends.into_iter().map(known).collect()
}
