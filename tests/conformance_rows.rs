//! docs/local-hub-conformance.md says of each row of the protocol's checklists that it passes, or
//! why it is skipped. A row passes when tests that carry its id are in this repository, and those
//! run with everything else.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

const DOCUMENT: &str = "docs/local-hub-conformance.md";

struct Row {
    id: String,
    level: String,
    result: String,
    tests: Vec<String>,
}

/// The two checklists differ in their zeros: `AUTH-05`, `AU-5`.
fn bare(id: &str) -> String {
    let (word, number) = id.split_once('-').unwrap();
    format!("{word}-{}", number.trim_start_matches('0'))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The table's rows: id, level, what is given and expected, result, tests.
fn rows() -> Vec<Row> {
    let text = std::fs::read_to_string(root().join(DOCUMENT)).unwrap();
    let lines = text
        .lines()
        .filter(|line| line.starts_with("| ") && line.contains('-') && !line.starts_with("| Id"));
    lines
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
            assert_eq!(cells.len(), 5, "{line}");
            Row {
                id: bare(cells[0]),
                level: cells[1].into(),
                result: cells[3].into(),
                tests: cells[4].split('`').skip(1).step_by(2).map(str::to_owned).collect(),
            }
        })
        .collect()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("node_modules") {
            sources(&path, found);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "rs" || extension == "py")
        {
            found.push(path);
        }
    }
}

/// Names of tests, by the row in front of them: `auth_05_…` belongs to AUTH-05.
fn tests_by_row() -> BTreeMap<String, Vec<String>> {
    let mut files = Vec::new();
    sources(&root().join("tests"), &mut files);
    sources(&root().join("crates"), &mut files);
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for line in text.lines().map(str::trim_start) {
            let name = line
                .strip_prefix("async fn ")
                .or_else(|| line.strip_prefix("fn "))
                .or_else(|| line.strip_prefix("def test_"));
            let Some(name) = name.and_then(|rest| rest.split('(').next()) else {
                continue;
            };
            let mut parts = name.splitn(3, '_');
            let (Some(word), Some(number), Some(_)) = (parts.next(), parts.next(), parts.next()) else {
                continue;
            };
            if number.parse::<u32>().is_ok() {
                let row = bare(&format!("{}-{number}", word.to_uppercase()));
                found.entry(row).or_default().push(name.to_owned());
            }
        }
    }
    found
}

#[test]
fn every_row_that_passes_names_tests_that_carry_its_id() {
    let tests = tests_by_row();
    for row in rows() {
        let known = tests.get(&row.id).cloned().unwrap_or_default();
        if row.result == "pass" {
            assert!(!row.tests.is_empty(), "{} passes by which test?", row.id);
            for test in &row.tests {
                assert!(known.contains(test), "{}: there is no test {test}", row.id);
            }
        } else {
            assert!(row.result.starts_with("skip: "), "{}: {}", row.id, row.result);
            assert!(known.is_empty(), "{} has tests and is said to be skipped", row.id);
        }
    }
}

#[test]
fn no_row_is_listed_twice_and_none_that_clients_break_without_is_skipped() {
    // Not built yet, as the document says: AMQP and what needs it, uploads, provisioning, faults.
    let later = ["CD-1", "CD-2", "CD-3", "EH-", "UPL-", "DPS-", "FLT-"];
    let rows = rows();
    let mut ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    ids.sort_unstable();
    let count = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), count);
    for row in rows.iter().filter(|row| row.level == "M" && row.result != "pass") {
        assert!(
            later.iter().any(|prefix| row.id.starts_with(prefix)),
            "{} is skipped",
            row.id
        );
    }
    let passing = rows.iter().filter(|row| row.result == "pass").count();
    assert!(passing >= 115, "{passing} rows pass");
}
