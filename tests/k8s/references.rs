//! References: every object, key, file and port that an object refers to exists.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::ingress::middlewares;
use super::objects::{Labels, Objects, Pod, labels, list, name, selects, text, title};
use super::pods::containers;

/// Secrets that are created outside of these manifests.
const EXTERNAL_SECRETS: [&str; 2] = [
    "katas-tls",    // cert-manager creates it for the Gateway or the Ingress
    "katas-backup", // credentials of the bucket, which the operator of the cluster creates
];

/// Checks all references between objects.
pub(super) fn check(objects: &Objects) -> Vec<String> {
    let mut violations = Vec::new();
    for object in objects.all() {
        let mut require = |kind: &str, name: Option<&str>| {
            let Some(name) = name else { return };
            let is_external = kind == "Secret" && EXTERNAL_SECRETS.contains(&name);
            if !is_external && !objects.contains(kind, name) {
                violations.push(format!("{}: {kind} {name} does not exist", title(object)));
            }
        };
        match object["kind"].as_str().unwrap_or_default() {
            "SpinApp" => {
                require("Secret", text(object, "/spec/runtimeConfig/loadFromSecret"));
                require("ServiceAccount", text(object, "/spec/serviceAccountName"));
            }
            "SpinAppExecutor" => {
                require("Secret", text(object, "/spec/deploymentConfig/caCertSecret"));
                let otel = object.pointer("/spec/deploymentConfig/otel");
                for (_, endpoint) in otel.and_then(Value::as_object).into_iter().flatten() {
                    let address = endpoint.as_str().and_then(|url| url.strip_prefix("http://"));
                    require(
                        "Service",
                        address.and_then(|address| Some(address.split_once(':')?.0)),
                    );
                }
            }
            "Cluster" => {
                require("Secret", text(object, "/spec/bootstrap/initdb/secret/name"));
                require("Secret", text(object, "/spec/certificates/serverCASecret"));
                for queries in list(object, "/spec/monitoring/customQueriesConfigMap") {
                    require("ConfigMap", text(queries, "/name"));
                }
                for plugin in list(object, "/spec/plugins") {
                    require("ObjectStore", text(plugin, "/parameters/barmanObjectName"));
                }
            }
            "ObjectStore" => {
                for key in ["accessKeyId", "secretAccessKey"] {
                    let pointer = format!("/spec/configuration/s3Credentials/{key}/name");
                    require("Secret", text(object, &pointer));
                }
            }
            "RabbitmqCluster" => require("Secret", text(object, "/spec/tls/secretName")),
            "Pooler" | "ScheduledBackup" => require("Cluster", text(object, "/spec/cluster/name")),
            "StatefulSet" => require("Service", text(object, "/spec/serviceName")),
            "Gateway" => {
                for listener in list(object, "/spec/listeners") {
                    require("Secret", text(listener, "/tls/certificateRefs/0/name"));
                }
                require("EnvoyProxy", text(object, "/spec/infrastructure/parametersRef/name"));
            }
            "Ingress" => {
                require("Secret", text(object, "/spec/tls/0/secretName"));
                for name in middlewares(object) {
                    require("Middleware", Some(name));
                }
            }
            "HTTPRoute" => require("Gateway", text(object, "/spec/parentRefs/0/name")),
            "ClientTrafficPolicy" | "BackendTrafficPolicy" => {
                let target = &object["spec"]["targetRefs"][0];
                let kind = target["kind"].as_str().unwrap_or_default();
                require(kind, target["name"].as_str());
            }
            "HorizontalPodAutoscaler" | "ScaledObject" => {
                require("SpinApp", text(object, "/spec/scaleTargetRef/name"));
            }
            "MutatingAdmissionPolicyBinding" => {
                require("MutatingAdmissionPolicy", text(object, "/spec/policyName"));
            }
            _ => {}
        }
        let namespace = text(object, "/metadata/namespace");
        let is_cluster_scoped = text(object, "/kind")
            .is_some_and(|kind| kind == "Namespace" || kind.starts_with("MutatingAdmissionPolicy"));
        if is_cluster_scoped == namespace.is_some() || namespace.is_some_and(|name| name != "katas")
        {
            violations.push(format!("{}: unexpected namespace {namespace:?}", title(object)));
        }
    }
    violations.extend(check_secret_files(objects));
    violations.extend(check_config_maps(objects));
    violations.extend(check_pod_monitors(objects));
    violations.extend(check_selectors(objects));
    violations.extend(check_listeners(objects));
    violations.extend(check_route_rules(objects));
    violations.extend(check_scalers(objects));
    violations.extend(check_metric_sources(objects));
    for (owner, service, port) in backends(objects) {
        if services(objects).get(&service).is_none_or(|ports| !ports.contains(&port)) {
            violations.push(format!("{owner}: Service {service} has no port {port}"));
        }
    }
    violations
}

/// Checks that the secret files in arguments and environment variables are mounted.
fn check_secret_files(objects: &Objects) -> Vec<String> {
    let mut violations = Vec::new();
    for pod in objects.pods() {
        let Some(spec) = &pod.spec else { continue };
        let account = text(spec, "/serviceAccountName").unwrap_or("default");
        if !objects.contains("ServiceAccount", account) {
            violations.push(format!("{}: ServiceAccount {account} does not exist", pod.owner));
        }
        for container in containers(spec) {
            let env =
                list(container, "/env").iter().filter_map(|variable| text(variable, "/value"));
            let args = list(container, "/args").iter().filter_map(Value::as_str);
            let values = env.chain(args);
            for path in values.filter_map(|value| Some(&value[value.find("/run/secrets/")?..])) {
                if !is_mounted(objects, spec, container, path) {
                    violations.push(format!("{}: {path} is not mounted", pod.owner));
                }
            }
        }
    }
    violations
}

/// Checks that ConfigMaps contain the files that containers read, and the dashboards.
fn check_config_maps(objects: &Objects) -> Vec<String> {
    let mut violations = Vec::new();
    let mut require = |owner: &str, map: Option<&str>, key: &str| {
        let map = objects.of_kind("ConfigMap").find(|object| Some(name(object)) == map);
        if map.is_none_or(|map| map["data"].get(key).is_none()) {
            violations.push(format!("{owner}: no ConfigMap with the key {key}"));
        }
    };
    for pod in objects.pods() {
        let Some(spec) = &pod.spec else { continue };
        let volumes = list(spec, "/volumes").iter();
        for volume in volumes.filter(|volume| volume.get("configMap").is_some()) {
            let mount = containers(spec).find_map(|container| {
                let mut mounts = list(container, "/volumeMounts").iter();
                Some((container, mounts.find(|mount| mount["name"] == volume["name"])?))
            });
            let Some((container, mount)) = mount else { continue };
            let folder = format!("{}/", text(mount, "/mountPath").unwrap_or_default());
            let words = ["/command", "/args"].into_iter().flat_map(|key| list(container, key));
            let env =
                list(container, "/env").iter().filter_map(|variable| text(variable, "/value"));
            let words = words.filter_map(Value::as_str).chain(env);
            let words: String = words.flat_map(|word| [word, " "]).collect();
            let file = words.split(&folder).nth(1).and_then(|rest| rest.split(' ').next());
            require(&pod.owner, text(volume, "/configMap/name"), file.unwrap_or("mounted file"));
        }
    }
    for dashboard in objects.of_kind("GrafanaDashboard") {
        let reference = &dashboard["spec"]["configMapRef"];
        let key = reference["key"].as_str().unwrap_or_default();
        require(&title(dashboard), reference["name"].as_str(), key);
    }
    violations
}

/// Checks that the pods of every PodMonitor have its ports, and that Prometheus can connect to
/// them.
fn check_pod_monitors(objects: &Objects) -> Vec<String> {
    let mut violations = Vec::new();
    for monitor in objects.of_kind("PodMonitor") {
        let selector = &monitor["spec"]["selector"];
        for pod in objects.pods().into_iter().filter(|pod| selects(selector, &pod.labels)) {
            for endpoint in list(monitor, "/spec/podMetricsEndpoints") {
                let port = match &pod.spec {
                    Some(spec) => containers(spec)
                        .flat_map(|container| list(container, "/ports"))
                        .find(|port| port["name"] == endpoint["port"])
                        .and_then(|port| port["containerPort"].as_u64()),
                    // Ports of CloudNativePG's pods.
                    None if pod.labels.contains_key("cnpg.io/poolerName") => Some(9127),
                    None => Some(9187),
                };
                if !port.is_some_and(|port| allows_from(objects, &pod.labels, port, "monitoring")) {
                    violations.push(format!("{}: cannot scrape {}", title(monitor), pod.owner));
                }
            }
        }
    }
    violations
}

/// Returns whether policies allow connections to a pod from another namespace.
fn allows_from(objects: &Objects, pod: &Labels, port: u64, namespace: &str) -> bool {
    let policies = objects.of_kind("NetworkPolicy");
    let mut rules = policies
        .filter(|policy| selects(&policy["spec"]["podSelector"], pod))
        .flat_map(|policy| list(policy, "/spec/ingress"));
    rules.any(|rule| {
        let from = rule.pointer("/from/0/namespaceSelector/matchLabels");
        from.is_some_and(|labels| labels["kubernetes.io/metadata.name"] == namespace)
            && list(rule, "/ports").iter().any(|allowed| allowed["port"] == port)
    })
}

fn is_mounted(objects: &Objects, spec: &Value, container: &Value, path: &str) -> bool {
    let (folder, key) = path.rsplit_once('/').expect("a path");
    let mut mounts = list(container, "/volumeMounts").iter();
    let volume = mounts.find(|mount| mount["mountPath"] == folder).and_then(|mount| {
        list(spec, "/volumes").iter().find(|volume| volume["name"] == mount["name"])
    });
    let secret = volume.and_then(|volume| text(volume, "/secret/secretName"));
    let secret =
        secret.and_then(|secret| objects.of_kind("Secret").find(|object| name(object) == secret));
    secret.is_some_and(|secret| secret["data"].get(key).is_some())
}

/// Checks that every selector matches at least one pod.
fn check_selectors(objects: &Objects) -> Vec<String> {
    let pods = objects.pods();
    let mut violations = Vec::new();
    for (kind, pointer) in [
        ("PodDisruptionBudget", "/spec/selector"),
        ("NetworkPolicy", "/spec/podSelector"),
        ("StatefulSet", "/spec/selector"),
        ("Deployment", "/spec/selector"),
        ("PodMonitor", "/spec/selector"),
    ] {
        for object in objects.of_kind(kind) {
            let selector = object.pointer(pointer).expect("a selector");
            if !pods.iter().any(|pod| selects(selector, &pod.labels)) {
                violations.push(format!("{}: selects no pod", title(object)));
            }
        }
    }
    for service in objects.of_kind("Service") {
        let selector = labels(service, "/spec/selector");
        let matches =
            |labels: &Labels| selector.iter().all(|(key, value)| labels.get(key) == Some(value));
        // A Service without a selector has no pods by design.
        if !selector.is_empty() && !pods.iter().any(|pod| matches(&pod.labels)) {
            violations.push(format!("{}: selects no pod", title(service)));
        }
    }
    violations
}

/// Checks that the Gateway has the listeners of all HTTPRoutes.
fn check_listeners(objects: &Objects) -> Vec<String> {
    let mut violations = Vec::new();
    for route in objects.of_kind("HTTPRoute") {
        let section = &route["spec"]["parentRefs"][0]["sectionName"];
        let mut listeners =
            objects.of_kind("Gateway").flat_map(|gateway| list(gateway, "/spec/listeners"));
        if !listeners.any(|listener| listener["name"] == *section) {
            violations.push(format!("{}: listener {section} does not exist", title(route)));
        }
    }
    violations
}

/// Checks that the HTTPRoutes have the rules of all policies for a single rule.
fn check_route_rules(objects: &Objects) -> Vec<String> {
    let mut violations = Vec::new();
    for policy in objects.of_kind("BackendTrafficPolicy") {
        let target = &policy["spec"]["targetRefs"][0];
        let Some(section) = target["sectionName"].as_str() else { continue };
        let routes = objects.of_kind("HTTPRoute").filter(|route| target["name"] == name(route));
        let mut rules = routes.flat_map(|route| list(route, "/spec/rules"));
        if !rules.any(|rule| rule["name"] == section) {
            violations.push(format!("{}: rule {section} does not exist", title(policy)));
        }
    }
    violations
}

/// Checks that a SpinApp has exactly one autoscaler if it enables autoscaling, otherwise none.
fn check_scalers(objects: &Objects) -> Vec<String> {
    let scalers =
        || objects.of_kind("HorizontalPodAutoscaler").chain(objects.of_kind("ScaledObject"));
    let mut violations = Vec::new();
    for app in objects.of_kind("SpinApp") {
        let actual = scalers()
            .filter(|scaler| scaler["spec"]["scaleTargetRef"]["name"] == name(app))
            .count();
        let expected = usize::from(app["spec"]["enableAutoscaling"] == true);
        if actual != expected {
            violations.push(format!("{}: {actual} autoscalers, not {expected}", title(app)));
        }
    }
    violations
}

/// Checks that the sources of KEDA's metrics exist, and that KEDA can connect to them.
fn check_metric_sources(objects: &Objects) -> Vec<String> {
    let mut violations = Vec::new();
    for scaled in objects.of_kind("ScaledObject") {
        for trigger in list(scaled, "/spec/triggers") {
            let Some(url) = text(trigger, "/metadata/url") else { continue };
            let authority = url.strip_prefix("http://").and_then(|rest| rest.split('/').next());
            let (host, port) = authority.and_then(|it| it.split_once(':')).unwrap_or_default();
            // Of a host with two parts, KEDA takes the port for a part of the namespace.
            let service = host.strip_suffix(".katas.svc").unwrap_or_default();
            let port: u64 = port.parse().unwrap_or_default();
            let selector = objects.of_kind("Service").find(|object| name(object) == service);
            let selector = selector.map(|service| labels(service, "/spec/selector"));
            let is_source = |pod: &&Pod| {
                let has = |(key, value)| pod.labels.get(key) == Some(value);
                selector.as_ref().is_some_and(|selector| selector.iter().all(has))
            };
            let pods = objects.pods();
            let source = pods.iter().find(is_source);
            if services(objects).get(service).is_none_or(|ports| !ports.contains(&port))
                || !source.is_some_and(|pod| allows_from(objects, &pod.labels, port, "keda"))
            {
                violations.push(format!("{}: KEDA cannot read {url}", title(scaled)));
            }
        }
    }
    violations
}

/// Returns the ports of all Services, including those that operators create.
pub(super) fn services(objects: &Objects) -> BTreeMap<String, BTreeSet<u64>> {
    let mut services = BTreeMap::new();
    for service in objects.of_kind("Service") {
        let ports = list(service, "/spec/ports").iter().filter_map(|port| port["port"].as_u64());
        services.insert(name(service).to_owned(), ports.collect());
    }
    for app in objects.of_kind("SpinApp") {
        services.insert(name(app).to_owned(), BTreeSet::from([80]));
    }
    for pooler in objects.of_kind("Pooler") {
        services.insert(name(pooler).to_owned(), BTreeSet::from([5432]));
    }
    for broker in objects.of_kind("RabbitmqCluster") {
        services.insert(name(broker).to_owned(), BTreeSet::from([5671]));
    }
    for cluster in objects.of_kind("Cluster") {
        for suffix in ["rw", "ro", "r"] {
            services.insert(format!("{}-{suffix}", name(cluster)), BTreeSet::from([5432]));
        }
    }
    services
}

/// Returns the Services and ports of Ingresses and HTTPRoutes, with the referring object.
fn backends(objects: &Objects) -> Vec<(String, String, u64)> {
    let mut backends = Vec::new();
    for route in objects.of_kind("HTTPRoute") {
        for backend in list(route, "/spec/rules").iter().flat_map(|rule| list(rule, "/backendRefs"))
        {
            backends.push((title(route), backend["name"].clone(), backend["port"].clone()));
        }
    }
    for ingress in objects.of_kind("Ingress") {
        for path in list(ingress, "/spec/rules").iter().flat_map(|rule| list(rule, "/http/paths")) {
            let service = &path["backend"]["service"];
            backends.push((
                title(ingress),
                service["name"].clone(),
                service["port"]["number"].clone(),
            ));
        }
    }
    let typed = |(owner, name, port): (String, Value, Value)| {
        (owner, name.as_str().unwrap_or_default().to_owned(), port.as_u64().unwrap_or_default())
    };
    backends.into_iter().map(typed).collect()
}
