//! Who may know whom.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::Command,
};

use serde_json::Value;

type Arrows = BTreeMap<String, BTreeSet<String>>;

/// This package, which may see everything: it proves the others together.
const TESTS: &str = "twindeck-tests";
/// The root package: the only one that knows Tauri.
const WINDOW: &str = "twindeck";

struct Workspace {
    packages: Vec<Value>,
}

impl Workspace {
    fn read() -> Self {
        let output = Command::new(env!("CARGO"))
            .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
        Self {
            packages: metadata["packages"].as_array().unwrap().clone(),
        }
    }

    fn names(&self) -> BTreeSet<&str> {
        self.packages.iter().map(name).collect()
    }

    /// Direct dependencies among the product's own packages; those only of tests do not count.
    fn arrows(&self) -> Arrows {
        let own = self.names();
        let mut arrows = Arrows::new();
        for package in self.packages.iter().filter(|package| name(package) != TESTS) {
            let known = dependencies(package).filter(|(to, kind)| own.contains(to) && *kind != Some("dev"));
            let known: BTreeSet<String> = known.map(|(to, _)| to.to_owned()).collect();
            if !known.is_empty() {
                arrows.insert(name(package).to_owned(), known);
            }
        }
        arrows
    }
}

fn name(package: &Value) -> &str {
    package["name"].as_str().unwrap()
}

fn dependencies(package: &Value) -> impl Iterator<Item = (&str, Option<&str>)> {
    let dependencies = package["dependencies"].as_array().unwrap().iter();
    dependencies.map(|dependency| (name(dependency), dependency["kind"].as_str()))
}

fn allowed(package: &str) -> &'static [&'static str] {
    match package {
        "hub-protocol" => &[],
        // The load program meets both servers on the wire.
        "hub-client" | "device-sim" | "local-hub" | "rollout" | "twindeck-load" => &["hub-protocol"],
        "twindeck-soak" => &["hub-protocol", "hub-client", "device-sim"],
        "twindeck-app" => &["hub-protocol", "hub-client", "device-sim", "local-hub"],
        "twindeckctl" => &["twindeck-app", "hub-protocol", "hub-client", "device-sim", "local-hub"],
        WINDOW => &["twindeck-app", "hub-protocol"],
        other => panic!("{other} is new: say here what it may know"),
    }
}

#[test]
fn dependencies_run_one_way() {
    for (package, known) in Workspace::read().arrows() {
        let allowed: BTreeSet<String> = allowed(&package).iter().map(|name| (*name).to_owned()).collect();
        let surplus: Vec<_> = known.difference(&allowed).collect();
        assert!(surplus.is_empty(), "{package} may not know {surplus:?}");
    }
}

#[test]
fn only_the_window_knows_tauri() {
    for package in Workspace::read().packages {
        if name(&package) != WINDOW {
            let tauri = dependencies(&package).find(|(name, _)| name.starts_with("tauri"));
            assert!(tauri.is_none(), "{} knows {tauri:?}", name(&package));
        }
    }
}

#[test]
fn the_parts_that_meet_on_the_wire_share_no_code_but_its_language_even_in_tests() {
    let workspace = Workspace::read();
    let own = workspace.names();
    for package in &workspace.packages {
        if ["hub-client", "device-sim", "local-hub"].contains(&name(package)) {
            let known: Vec<_> = dependencies(package)
                .map(|(name, _)| name)
                .filter(|name| own.contains(name) && *name != "hub-protocol")
                .collect();
            assert!(known.is_empty(), "{} knows {known:?}", name(package));
        }
    }
}

#[test]
fn the_architecture_text_draws_the_same_arrows() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ARCHITECTURE.md");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(drawn(&text), Workspace::read().arrows());
}

/// Lines such as `hub-client → hub-protocol` between the two markers.
fn drawn(text: &str) -> Arrows {
    let (_, rest) = text.split_once("<!-- arrows -->").expect("the marker <!-- arrows -->");
    let (block, _) = rest
        .split_once("<!-- /arrows -->")
        .expect("the marker <!-- /arrows -->");
    let arrows = block.lines().filter_map(|line| line.split_once('→'));
    let arrows = arrows.map(|(from, to)| {
        let to = to
            .split(',')
            .map(|name| name.trim().to_owned())
            .filter(|name| !name.is_empty());
        (from.trim().to_owned(), to.collect::<BTreeSet<_>>())
    });
    arrows.filter(|(_, to)| !to.is_empty()).collect()
}
