//! `ops/requirements.md` names real tests: each row's proofs are looked up in the files they name.

use std::path::{Path, PathBuf};

/// `path::name`, in backticks, as the table writes a proof.
fn proofs(row: &str) -> Vec<(&str, &str)> {
    row.split('`').skip(1).step_by(2).filter_map(|proof| proof.split_once("::")).collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn rows(table: &str) -> Vec<&str> {
    table
        .lines()
        .filter(|line| {
            let id = line.trim_start_matches("| ").split(' ').next().unwrap_or("");
            id.split_once('-').is_some_and(|(area, number)| {
                area.len() == 1
                    && area.chars().all(char::is_uppercase)
                    && number.chars().all(|c| c.is_ascii_digit())
            })
        })
        .collect()
}

#[test]
fn every_proof_in_the_requirements_table_is_a_test_that_exists() {
    let table = std::fs::read_to_string(root().join("ops/requirements.md")).expect("the table is there");
    let rows = rows(&table);
    assert!(!rows.is_empty(), "the table has rows");
    let mut missing = Vec::new();
    for row in rows {
        let proofs = proofs(row);
        if proofs.is_empty() {
            missing.push(format!("no proof in: {row}"));
        }
        for (path, name) in proofs {
            let source = std::fs::read_to_string(root().join(path)).unwrap_or_default();
            let defined = [
                format!("fn {name}("),
                format!("fn {name}<"),
                format!("def {name}("),
                format!("test(\"{name}\""),
                format!("test('{name}'"),
            ];
            if !defined.iter().any(|definition| source.contains(definition)) {
                missing.push(format!("{path} has no test {name}"));
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}
