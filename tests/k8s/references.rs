//! Names: whatever an object refers to is there.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::objects::{Objects, labels, list, name, selects, text, title};
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
            }
            "Cluster" => {
                missing("Secret", text(object, "/spec/bootstrap/initdb/secret/name"));
                missing("Secret", text(object, "/spec/certificates/serverCASecret"));
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
