//! `ops/requirements.md`: each promise names the tests that prove it, and they are among those that have just run and passed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};

use crate::{progress::say, workspace::Workspace};

const TABLE: &str = "ops/requirements.md";

/// A test that a row names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Proof {
    /// The file that it is in, from the repository's root.
    path: String,
    name: String,
}

/// Tests that have passed.
#[derive(Debug, Default)]
struct Passed {
    /// By package: the binary and the modules that they are in, and their own names.
    rust: BTreeMap<String, BTreeSet<Vec<String>>>,
    /// File and name.
    python: BTreeSet<(String, String)>,
}

/// Where the runners leave their reports.
#[derive(Debug)]
pub struct Reports {
    /// Of cargo-nextest.
    pub rust: PathBuf,
    /// Of pytest.
    pub python: PathBuf,
}

impl Reports {
    /// The places.
    pub fn of(workspace: &Workspace) -> Self {
        let target = workspace.target();
        Self { rust: target.join("nextest/default/junit.xml"), python: target.join("clients/pytest.xml") }
    }

    /// What an earlier run left proves nothing.
    ///
    /// # Errors
    /// A file cannot be removed.
    pub fn remove(&self) -> Result<()> {
        for path in [&self.rust, &self.python] {
            if path.exists() {
                fs::remove_file(path).with_context(|| format!("cannot remove {}", path.display()))?;
            }
        }
        Ok(())
    }
}

/// Fails unless every test that the table names is in the runners' reports as one that passed.
pub fn check(workspace: &Workspace) -> Result<()> {
    let root = workspace.root();
    let reports = Reports::of(workspace);
    let mut passed = Passed::default();
    for (path, add) in
        [(&reports.rust, add_rust as fn(&mut Passed, &str) -> Result<()>), (&reports.python, add_python)]
    {
        let text = fs::read_to_string(path).with_context(|| {
            format!(
                "{} is missing: the promises are checked from the reports of cargo-nextest and pytest",
                path.display()
            )
        })?;
        add(&mut passed, &text).with_context(|| path.display().to_string())?;
    }
    let rows = rows(&fs::read_to_string(root.join(TABLE))?);
    ensure!(!rows.is_empty(), "{TABLE} has no rows");
    let mut unproven = Vec::new();
    for (id, proofs) in &rows {
        if proofs.is_empty() {
            unproven.push(format!("{id} names no test"));
        }
        for proof in proofs {
            if !passed.has(proof, &package_of(root, &proof.path)?) {
                unproven.push(format!("{id}: {}::{} did not run, or did not pass", proof.path, proof.name));
            }
        }
    }
    ensure!(unproven.is_empty(), "{}", unproven.join("\n"));
    let proofs: BTreeSet<&Proof> = rows.iter().flat_map(|(_, proofs)| proofs).collect();
    say(format_args!("test: {} promises, {} tests that prove them ran and passed", rows.len(), proofs.len()));
    Ok(())
}

impl Passed {
    fn has(&self, proof: &Proof, package: &str) -> bool {
        let path = Path::new(&proof.path);
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        if path.extension().is_some_and(|extension| extension == "py") {
            return self.python.contains(&(stem.to_owned(), proof.name.clone()));
        }
        // The file's module is above the test, unless it has no name of its own.
        let is_root = matches!(stem, "lib" | "main" | "tests");
        self.rust.get(package).into_iter().flatten().any(|steps| {
            let (name, above) =
                steps.split_last().map_or(("", &[][..]), |(name, above)| (name.as_str(), above));
            name == proof.name && (is_root || above.iter().any(|step| step == stem))
        })
    }
}

/// JUnit as cargo-nextest writes it: the class is `package::binary`, or the package alone, and the name is the test's whole path.
fn add_rust(passed: &mut Passed, text: &str) -> Result<()> {
    for (class, name) in cases(text)? {
        let mut steps = class.split("::").map(str::to_owned);
        let package = steps.next().unwrap_or_default();
        let steps = steps.chain(name.split("::").map(str::to_owned)).collect();
        passed.rust.entry(package).or_default().insert(steps);
    }
    Ok(())
}

/// JUnit as pytest writes it: the class ends with the file, and a name may have parameters.
fn add_python(passed: &mut Passed, text: &str) -> Result<()> {
    for (class, name) in cases(text)? {
        let file = class.rsplit('.').next().unwrap_or_default().to_owned();
        let name = name.split('[').next().unwrap_or_default().to_owned();
        passed.python.insert((file, name));
    }
    Ok(())
}

/// Class and name of the cases that ran and passed.
fn cases(text: &str) -> Result<Vec<(String, String)>> {
    let document = roxmltree::Document::parse(text).context("it is no XML")?;
    let is_bad = |case: &roxmltree::Node<'_, '_>| {
        case.children().any(|child| ["failure", "error", "skipped"].contains(&child.tag_name().name()))
    };
    let cases = document.descendants().filter(|node| node.has_tag_name("testcase") && !is_bad(node));
    let member = |case: &roxmltree::Node<'_, '_>, name: &str| {
        case.attribute(name).map(str::to_owned).with_context(|| format!("a case has no {name}"))
    };
    cases.map(|case| Ok((member(&case, "classname")?, member(&case, "name")?))).collect()
}

/// The name of the package that a file belongs to.
fn package_of(root: &Path, path: &str) -> Result<String> {
    let mut folder = Path::new(path).parent();
    while let Some(here) = folder {
        if let Ok(manifest) = fs::read_to_string(root.join(here).join("Cargo.toml"))
            && let Some(package) = toml::from_str::<toml::Table>(&manifest)?.get("package")
        {
            return Ok(package["name"].as_str().context("a package without a name")?.to_owned());
        }
        folder = here.parent();
    }
    Ok(String::new())
}

/// The table's rows: a promise's number, and its proofs.
fn rows(table: &str) -> Vec<(String, Vec<Proof>)> {
    let rows = table.lines().filter_map(|line| {
        let id = line.strip_prefix("| ")?.split(' ').next()?;
        let (area, number) = id.split_once('-')?;
        let is_promise = area.len() == 1
            && area.chars().all(char::is_uppercase)
            && number.chars().all(|digit| digit.is_ascii_digit());
        is_promise.then(|| (id.to_owned(), proofs(line)))
    });
    rows.collect()
}

/// `path::name`, in backticks, as the table writes a proof.
fn proofs(row: &str) -> Vec<Proof> {
    let quoted = row.split('`').skip(1).step_by(2);
    let proofs = quoted.filter_map(|proof| proof.split_once("::"));
    proofs.map(|(path, name)| Proof { path: path.to_owned(), name: name.to_owned() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
    }

    #[test]
    fn every_proof_in_the_requirements_table_is_a_test_that_exists() {
        let rows = rows(&fs::read_to_string(root().join(TABLE)).expect("the table is there"));
        assert!(!rows.is_empty(), "the table has rows");
        let mut missing = Vec::new();
        for (id, proofs) in rows {
            if proofs.is_empty() {
                missing.push(format!("{id} has no proof"));
            }
            for Proof { path, name } in proofs {
                let source = fs::read_to_string(root().join(&path)).unwrap_or_default();
                let defined = [format!("fn {name}("), format!("fn {name}<"), format!("def {name}(")];
                if !defined.iter().any(|definition| source.contains(definition)) {
                    missing.push(format!("{id}: {path} has no test {name}"));
                }
            }
        }
        assert!(missing.is_empty(), "{}", missing.join("\n"));
    }

    #[test]
    fn what_ran_and_passed_proves_and_nothing_else_does() {
        let rust = r#"<testsuites><testsuite name="atelier::routes">
            <testcase name="links::a_link_opens" classname="atelier::routes"/>
            <testcase name="links::a_link_ends" classname="atelier::routes"><failure>x</failure></testcase>
            <testcase name="http::gate::tests::it_is_shut" classname="atelier"/>
        </testsuite></testsuites>"#;
        let python = r#"<testsuites><testsuite><testcase classname="test_chat" name="test_it[host]"/>
            <testcase classname="test_chat" name="test_that"><skipped/></testcase></testsuite></testsuites>"#;
        let mut passed = Passed::default();
        add_rust(&mut passed, rust).expect("a report");
        add_python(&mut passed, python).expect("a report");
        let has = |path: &str, name: &str, package: &str| {
            passed.has(&Proof { path: path.to_owned(), name: name.to_owned() }, package)
        };
        assert!(has("host/server/tests/routes/links.rs", "a_link_opens", "atelier"));
        assert!(has("host/server/src/http/gate.rs", "it_is_shut", "atelier"));
        assert!(has("host/server/src/http/gate/tests.rs", "it_is_shut", "atelier"));
        assert!(has("ops/clients/python/test_chat.py", "test_it", ""));
        assert!(!has("host/server/tests/routes/links.rs", "a_link_ends", "atelier"), "it failed");
        assert!(
            !has("host/server/tests/routes/links.rs", "a_link_opens", "atelier-service"),
            "of another package"
        );
        assert!(!has("host/server/tests/routes/files.rs", "a_link_opens", "atelier"), "of another file");
        assert!(!has("ops/clients/python/test_chat.py", "test_that", ""), "it was skipped");
        assert!(!has("ops/clients/python/test_files.py", "test_it", ""));
        assert!(add_rust(&mut passed, "<testsuites>").is_err());
    }

    #[test]
    fn a_file_belongs_to_the_package_around_it() {
        assert_eq!(package_of(&root(), "host/server/tests/routes/links.rs").expect("read"), "atelier");
        assert_eq!(package_of(&root(), "ops/xtask/src/promises.rs").expect("read"), "xtask");
        assert_eq!(package_of(&root(), "ops/clients/python/test_chat.py").expect("read"), "");
    }
}
