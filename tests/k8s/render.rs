//! Manifests as kustomize renders them.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::objects::Objects;
use crate::repository::files;
use crate::support::root;

/// A copy of what git has, with Secrets in it.
static COPY: LazyLock<TempDir> = LazyLock::new(|| {
    let copy = copy();
    for overlay in ["local", "production"] {
        run(Command::new(copy.path().join("k8s/secrets")).arg(overlay));
    }
    copy
});

/// A copy of what git has.
pub(super) fn copy() -> TempDir {
    let copy = tempfile::tempdir().expect("a folder");
    for file in files("").iter().filter(|file| file.starts_with("k8s")) {
        let to = copy.path().join(file);
        fs::create_dir_all(to.parent().expect("a folder")).expect("a folder");
        fs::copy(root().join(file), to).expect("a copy");
    }
    copy
}

/// Everything that can be deployed, by name.
static DEPLOYMENTS: LazyLock<Vec<(String, Objects)>> = LazyLock::new(|| {
    let mut all = vec![("local".to_owned(), kustomize("k8s/overlays/local"))];
    // What `k8s/secrets` makes for production is applied before, by itself.
    let secrets = kustomize("k8s/overlays/production/secrets");
    for overlay in ["production", "split"] {
        let rendered = kustomize(&format!("k8s/overlays/{overlay}"));
        all.push((overlay.to_owned(), secrets.clone().and(rendered)));
    }
    for entry in [&[][..], &["gateway"], &["ingress"]] {
        for jobs in [&[][..], &["sweep"], &["load-data"], &["sweep", "load-data"]] {
            let components = [entry, jobs].concat();
            let rendered = combination("local", &components, "");
            all.push((format!("local + {components:?}"), rendered));
        }
    }
    let monitored = ["monitoring", "postgres-exporter", "grafana-operator"];
    all.push(("local + monitoring".to_owned(), combination("local", &monitored, "")));
    // More pods need the pooler. The one autoscaler is in place of the other.
    let keda = combination("production", &["autoscaling-keda"], WITHOUT_HPA);
    all.push(("production + KEDA".to_owned(), secrets.and(keda)));
    all
});

/// Everything that can be deployed: the overlays, and components on top of `local`.
pub(super) fn deployments() -> &'static [(String, Objects)] {
    &DEPLOYMENTS
}

/// One of them, to be broken.
pub(super) fn deployment(name: &str) -> Objects {
    let found = deployments().iter().find(|(it, _)| it == name);
    found.unwrap_or_else(|| panic!("{name} is not deployed")).1.clone()
}

/// The base, and how long it took.
pub(super) fn base() -> (Objects, Duration) {
    kustomize("k8s/base");
    let start = Instant::now();
    (kustomize("k8s/base"), start.elapsed())
}

const WITHOUT_HPA: &str = "\
patches:
  - patch: |
      apiVersion: autoscaling/v2
      kind: HorizontalPodAutoscaler
      metadata: {name: katas, namespace: katas}
      $patch: delete
";

/// An overlay with components, as somebody would write it.
pub(super) fn combination(overlay: &str, components: &[&str], patches: &str) -> Objects {
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

/// What `kubectl apply -k` would apply, in that order.
pub(super) fn kustomize(folder: &str) -> Objects {
    let folder = COPY.path().join(Path::new(folder));
    Objects::parse(&run(Command::new("kubectl").arg("kustomize").arg(folder)))
}

/// What it prints.
pub(super) fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| {
        panic!(
            "{:?} cannot be run, and the manifests not be rendered: {error}",
            command.get_program()
        )
    });
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    String::from_utf8(output.stdout).expect("UTF-8")
}
