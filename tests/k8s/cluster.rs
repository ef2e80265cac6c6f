//! The check of the manifests against a cluster.

use std::process::{Command, Output};

use crate::support::root;

/// Runs `k8s/check-cluster` with a configuration of kubectl.
fn check_cluster(kubeconfig: &str) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("kubeconfig");
    std::fs::write(&file, kubeconfig).expect("a file");
    let mut command = Command::new(root().join("k8s/check-cluster"));
    command.env("KUBECONFIG", &file).output().expect("the check starts")
}

/// Returns a configuration whose current context has this name and server.
fn kubeconfig(context: &str, server: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Config, current-context: {context}, \
          clusters: [{{name: a, cluster: {{server: \"{server}\"}}}}], \
          users: [{{name: a, user: {{}}}}], \
          contexts: [{{name: {context}, context: {{cluster: a, user: a}}}}]}}"
    )
}

#[test]
#[cfg_attr(not(has_kubectl), ignore = "kubectl is not installed")]
#[cfg_attr(not(has_python), ignore = "Python is not installed")]
fn cluster_check_without_a_cluster_is_skipped() {
    for (kubeconfig, reason) in [
        (String::new(), "current-context"),
        // A port that no server uses.
        (kubeconfig("kind-a", "https://127.0.0.1:1"), "no cluster at https://127.0.0.1:1"),
    ] {
        let output = check_cluster(&kubeconfig);
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && stdout.contains("skipped"), "{output:?}");
        assert!(stdout.contains(reason), "{output:?}");
    }
}

#[test]
#[cfg_attr(not(has_kubectl), ignore = "kubectl is not installed")]
#[cfg_attr(not(has_python), ignore = "Python is not installed")]
fn cluster_check_of_a_remote_cluster_is_refused() {
    for (context, server) in
        [("production", "https://192.0.2.1:6443"), ("my-kind-a", "https://k8s.example.com")]
    {
        let output = check_cluster(&kubeconfig(context, server));
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(stderr.contains("--allow-remote"), "{output:?}");
    }
}

/// Prints the failure of the documented installation with a kubectl whose rollouts time out.
const FAILED_INSTALLATION: &str = r#"
import os, pathlib, runpy, sys
check = runpy.run_path(sys.argv[1])
folder = pathlib.Path(sys.argv[2])
(folder / "kubectl").write_text(
    '#!/bin/sh\ncase " $* " in *" rollout "*) echo "error: timed out" >&2; exit 1 ;; esac\necho "output of $1 $2"\n'
)
(folder / "kubectl").chmod(0o755)
os.environ["PATH"] = f"{folder}{os.pathsep}{os.environ['PATH']}"
workspace = check["Workspace"]("test", folder, "example.invalid")
try:
    workspace.documented("k8s/README.md", "kubectl apply -k k8s/overlays/local", True, ("kind", "port-forward"))
except check["Failure"] as failure:
    print(failure)
"#;

#[test]
#[cfg_attr(not(has_python), ignore = "Python is not installed")]
fn failed_rollout_is_reported_with_its_object_and_the_pods() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = Command::new("python3")
        .args(["-c", FAILED_INSTALLATION])
        .arg(root().join("k8s/check-cluster"))
        .arg(folder.path())
        .output()
        .expect("Python starts");
    let failure = String::from_utf8_lossy(&output.stdout);
    for line in [
        "+ kubectl -n katas-check-test rollout status deployment/katas --timeout=15m\nerror: timed out\n",
        "\noutput of get jobs,pods\n",
        "\noutput of events --types=Warning\n",
        "\noutput of logs ",
    ] {
        assert!(failure.contains(line), "{output:?}");
    }
}

#[test]
#[cfg_attr(not(has_cluster), ignore = "CHECK_CLUSTER is not set; it runs k8s/check-cluster")]
fn every_cluster_check_passes() {
    let command = root().join("k8s/check-cluster");
    let output = Command::new(command).output().expect("the check starts");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && stdout.contains(" 0 failed"), "{output:?}");
}
