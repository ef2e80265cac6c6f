//! Manifests as kustomize renders them.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

use super::objects::Objects;
use crate::repository::files;
use crate::support::root;

/// A copy of the manifests with generated Secrets.
static COPY: LazyLock<TempDir> = LazyLock::new(|| {
    let copy = copy();
    for overlay in ["local", "production"] {
        run(Command::new(copy.path().join("k8s/secrets")).arg(overlay));
    }
    copy
});

/// Copies the manifests to a temporary folder.
pub(super) fn copy() -> TempDir {
    let copy = tempfile::tempdir().expect("a folder");
    for file in files("").iter().filter(|file| file.starts_with("k8s")) {
        let to = copy.path().join(file);
        fs::create_dir_all(to.parent().expect("a folder")).expect("a folder");
        fs::copy(root().join(file), to).expect("a copy");
    }
    copy
}

static DEPLOYMENTS: LazyLock<Vec<(String, Objects)>> = LazyLock::new(|| {
    let mut all = vec![("local".to_owned(), kustomize("k8s/overlays/local"))];
    // The Secrets of production are applied separately.
    let secrets = kustomize("k8s/overlays/production/secrets");
    for overlay in ["production", "split"] {
        let rendered = kustomize(&format!("k8s/overlays/{overlay}"));
        all.push((overlay.to_owned(), secrets.clone().chain(rendered)));
    }
    for entry in [&[][..], &["gateway"], &["ingress"], &["ingress", "traefik"]] {
        for jobs in [&[][..], &["sweep"], &["load-data"], &["sweep", "load-data"]] {
            let components = [entry, jobs].concat();
            let rendered = overlay_with("local", &components, "");
            all.push((format!("local + {components:?}"), rendered));
        }
    }
    let monitoring = ["monitoring", "postgres-exporter", "grafana-operator"];
    all.push(("local + monitoring".to_owned(), overlay_with("local", &monitoring, "")));
    all.push(("local + rabbitmq".to_owned(), overlay_with("local", &["rabbitmq"], "")));
    let cluster = overlay_with("production", &["rabbitmq-cluster"], "");
    all.push(("production + rabbitmq-cluster".to_owned(), secrets.clone().chain(cluster)));
    // Several pods need the pooler, and KEDA replaces the HorizontalPodAutoscaler.
    let keda = overlay_with("production", &["autoscaling-keda"], WITHOUT_HPA);
    all.push(("production + KEDA".to_owned(), secrets.clone().chain(keda)));
    for overlay in ["production", "split"] {
        for components in [&["worker"][..], &["worker-keda"], &["worker-keda", "rabbitmq-cluster"]]
        {
            let rendered = overlay_with(overlay, components, "");
            all.push((format!("{overlay} + {components:?}"), secrets.clone().chain(rendered)));
        }
    }
    all
});

/// Returns all supported deployments by name: the overlays, and `local` with components.
pub(super) fn deployments() -> &'static [(String, Objects)] {
    &DEPLOYMENTS
}

/// Returns a copy of one deployment.
pub(super) fn deployment(name: &str) -> Objects {
    let found = deployments().iter().find(|(deployment, _)| deployment == name);
    found.unwrap_or_else(|| panic!("unknown deployment {name}")).1.clone()
}

const WITHOUT_HPA: &str = "\
patches:
  - patch: |
      apiVersion: autoscaling/v2
      kind: HorizontalPodAutoscaler
      metadata: {name: katas, namespace: katas}
      $patch: delete
";

/// Renders an overlay with additional components and patches.
pub(super) fn overlay_with(overlay: &str, components: &[&str], patches: &str) -> Objects {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let folder = format!("k8s/overlays/combination-{number}");
    let path = COPY.path().join(&folder);
    fs::create_dir_all(&path).expect("a folder");
    let components: String =
        components.iter().map(|component| format!("  - ../../addons/{component}\n")).collect();
    let text = format!(
        "sortOptions: {{order: fifo}}\nresources:\n  - ../{overlay}\n\
         components:\n{components}  - ../../release\n{patches}"
    );
    fs::write(path.join("kustomization.yaml"), text).expect("a file");
    kustomize(&folder)
}

/// Returns the objects that `kubectl apply -k` applies, in the same order.
pub(super) fn kustomize(folder: &str) -> Objects {
    let folder = COPY.path().join(Path::new(folder));
    Objects::parse(&run(Command::new("kubectl").arg("kustomize").arg(folder)))
}

/// Runs a command and returns its standard output.
pub(super) fn run(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("cannot run {:?}: {error}", command.get_program()));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {stderr}");
    String::from_utf8(output.stdout).expect("UTF-8")
}
