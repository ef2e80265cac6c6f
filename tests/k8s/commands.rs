//! kubectl commands in the documentation, the chart's notes, scripts and workflows.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::objects::{Objects, text as string_at, title};
use super::render::{deployment, run};
use crate::repository::{files, text};
use crate::support::root;

/// Returns the commands of a file that call kubectl, with continuation lines joined.
fn commands(path: &Path) -> Vec<String> {
    let joined = text(path).replace("\\\n", " ");
    let lines = joined.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    // A line with a backtick is prose.
    lines.filter(|line| line.contains("kubectl ") && !line.contains('`')).collect()
}

/// Returns the files with instructions for a cluster, or scripts that run against one.
fn sources() -> Vec<PathBuf> {
    let scripts = ["k8s/e2e", "k8s/platform/install", "k8s/chart/templates/NOTES.txt"];
    let mut sources: Vec<PathBuf> = scripts.map(PathBuf::from).into();
    sources.extend(files(".md"));
    sources.extend(files(".yml").into_iter().filter(|path| path.starts_with(".github")));
    sources
}

#[test]
fn every_wait_has_a_timeout_and_names_its_job() {
    let mut waits = 0;
    for path in sources() {
        for command in commands(&path) {
            let words: Vec<_> = command.split(' ').collect();
            let is_wait = words.contains(&"wait");
            if !is_wait && !command.contains("rollout status") {
                continue;
            }
            waits += 1;
            // Without a timeout, `kubectl wait` ends after 30 seconds, and `rollout status` never.
            assert!(command.contains("--timeout"), "{}: {command}", path.display());
            // A label also matches the Jobs of earlier releases.
            let selects_jobs = words.iter().any(|word| ["job", "jobs"].contains(word));
            assert!(!is_wait || !selects_jobs, "{}: {command}", path.display());
        }
    }
    assert!(waits >= 15, "{waits}");
}

/// Returns the kinds and names of the objects of one deployment that another one does not have.
fn left_behind(from: &Objects, to: &Objects) -> BTreeSet<String> {
    let titles = |objects: &Objects| objects.all().iter().map(title).collect::<BTreeSet<_>>();
    titles(from).difference(&titles(to)).cloned().collect()
}

/// Returns the kinds and names of the objects that `kubectl delete` commands delete, given as
/// `kind/name …` or `kind,… name …`.
fn deleted(section: &str) -> BTreeSet<String> {
    let section = section.replace("\\\n", " ");
    let commands =
        section.lines().filter_map(|line| line.trim().strip_prefix("kubectl -n katas delete "));
    let mut deleted = BTreeSet::new();
    for command in commands {
        let words: Vec<_> = command.split_whitespace().collect();
        let pairs: Vec<(&str, &str)> = if words[0].contains('/') {
            words.iter().filter_map(|word| word.split_once('/')).collect()
        } else {
            let kinds = words[0].split(',');
            kinds.flat_map(|kind| words[1..].iter().map(move |name| (kind, *name))).collect()
        };
        for (kind, name) in pairs {
            let kind = match kind {
                "hpa" => "HorizontalPodAutoscaler",
                "pdb" => "PodDisruptionBudget",
                "spinapp" => "SpinApp",
                kind => kind,
            };
            deleted.insert(format!("{kind} {name}"));
        }
    }
    deleted
}

#[test]
#[cfg_attr(not(has_kubectl), ignore = "kubectl is not installed")]
fn documented_overlay_changes_delete_exactly_the_obsolete_objects() {
    let manual = text("docs/OPERATIONS.md".as_ref());
    let (_, section) =
        manual.split_once("\n### Change from `production` to `split`, or back\n").expect("section");
    let section = section.split("\n## ").next().expect("its content");
    let (to_split, to_production) = section.split_once("\nBack to `production`").expect("both");
    let (production, split) = (deployment("production"), deployment("split"));
    assert_eq!(deleted(to_split), left_behind(&production, &split));
    assert_eq!(deleted(to_production), left_behind(&split, &production));
    // The waits before the delete step cover every new Deployment.
    for app in left_behind(&split, &production)
        .iter()
        .filter_map(|title| title.strip_prefix("SpinApp katas-"))
    {
        let apps = to_split.lines().find_map(|line| line.strip_prefix("for app in "));
        let mut apps = apps.expect("a loop").trim_end_matches("; do").split(' ');
        assert!(apps.any(|name| name == app), "{app}");
    }
}

#[test]
#[cfg_attr(not(has_kubectl), ignore = "kubectl is not installed")]
fn argo_cd_settings_patch_preserves_existing_settings() {
    let existing = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: argocd-cm}\n\
                    data: {url: https://argocd.example.com}\n";
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("argocd-cm.yaml");
    std::fs::write(&file, existing).expect("a file");
    // The documented command, on a file in place of a cluster.
    let documented = "kubectl -n argocd patch configmap argocd-cm --type merge --patch-file ";
    let commands = commands("docs/OPERATIONS.md".as_ref());
    let patch = commands.iter().find_map(|command| command.strip_prefix(documented));
    let patch = patch.expect("the command is documented");
    let patched = run(Command::new("kubectl")
        .args(["patch", "--local", "--type", "merge", "--output", "yaml"])
        .arg(format!("--patch-file={}", root().join(patch).display()))
        .arg(format!("--filename={}", file.display())));
    let patched = Objects::parse(&patched);
    let settings = &patched.all()[0];
    assert_eq!(string_at(settings, "/data/url"), Some("https://argocd.example.com"));
    let rule = "/data/resource.customizations.health.core.spinkube.dev_SpinApp";
    let rule = string_at(settings, rule).expect("the health rule");
    assert!(rule.ends_with("return health\n"), "{rule}");
    assert_eq!(settings["data"].as_object().map(serde_json::Map::len), Some(2));
}

#[test]
fn no_workflow_or_script_pipes_a_download_into_a_program() {
    let is_script = |path: &PathBuf| text(path).starts_with("#!");
    let scripts = files("").into_iter().filter(|path| path.extension().is_none());
    let scripts = scripts.filter(|path| path.starts_with(".ci") || path.starts_with("k8s"));
    let workflows = files(".yml").into_iter().filter(|path| path.starts_with(".github"));
    let mut downloads = 0;
    for path in
        workflows.chain(scripts.filter(|path| root().join(path).is_file()).filter(is_script))
    {
        let joined = text(&path).replace("\\\n", " ");
        for line in joined.lines().filter(|line| line.contains("curl ") || line.contains("wget ")) {
            downloads += 1;
            // The requests of `.ci/run` go to the application.
            let is_local = line.contains("http://127.0.0.1");
            assert!(is_local || !line.contains('|'), "{}: {line}", path.display());
        }
    }
    assert!(downloads >= 3, "{downloads}");
}
