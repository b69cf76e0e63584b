//! `cargo xtask secrets`: secrets in the tree or its history (O-11).

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};

use crate::{cache::Cache, node_packages, process, progress::say, workspace::Workspace};

const LIMIT: Duration = Duration::from_secs(600);
/// Larger files are no texts that somebody wrote.
const TEXT_BYTES_MAX: usize = 4 << 20;
/// Texts that are looked through at once: what secretlint 11 notes of each takes it longer the more there are.
const FOLDER_TEXTS: usize = 250;
const RULES: &str = ".secretlintrc.json";

/// Look for secrets in every text that is or was committed.
///
/// secretlint does it, whose rules know the keys of common providers. What it may find is named in
/// ops/secrets/.secretlintrc.json. Needs git, and Node.js with npm.
#[derive(Debug, clap::Args)]
pub struct Options {}

/// Run the verb.
pub fn run(workspace: &Workspace, cache: &Cache, _: &Options) -> Result<ExitCode> {
    look_through(workspace, cache)?;
    Ok(ExitCode::SUCCESS)
}

/// Look through everything; an error if anything is found.
pub fn look_through(workspace: &Workspace, cache: &Cache) -> Result<()> {
    let settings = workspace.root().join("ops/secrets");
    let linter = Linter {
        installed: node_packages::open(cache, "secrets", &settings)?,
        settings: settings.join(RULES),
    };
    let dir = workspace.target().join("secrets");
    if dir.exists() {
        fs::remove_dir_all(&dir).with_context(|| format!("cannot remove {}", dir.display()))?;
    }
    let (planted, history) = (dir.join("planted"), dir.join("history"));
    fs::create_dir_all(&planted)?;
    fs::create_dir_all(&history)?;
    // One that is made here, in pieces: who finds nothing must be able to find something.
    let token = format!("token = {}_{}F6g7H8\n", "ghp", "a1B2c3D4e5".repeat(3));
    fs::write(planted.join("token.txt"), token)?;
    ensure!(!process::works(&mut linter.command(&planted)), "a planted token was not found");
    let count = write_out(workspace.root(), &history)?;
    say(format_args!("secrets: {count} texts of the tree and its history"));
    for folder in fs::read_dir(&history)? {
        process::run_within(&mut linter.command(&folder?.path()), LIMIT)
            .context("see above for what was found, by the first digits of its object in git")?;
    }
    say("secrets: none");
    Ok(())
}

struct Linter {
    installed: PathBuf,
    settings: PathBuf,
}

impl Linter {
    /// Looks through all files of a folder.
    fn command(&self, dir: &Path) -> Command {
        let mut node = Command::new("node");
        node.arg(self.installed.join("node_modules/secretlint/bin/secretlint.js"));
        node.arg("--secretlintrc").arg(&self.settings).arg("**/*").current_dir(dir);
        node
    }
}

/// Writes each text that any commit has, named by its object and file, in folders of [`FOLDER_TEXTS`]; gives their number.
fn write_out(root: &Path, into: &Path) -> Result<usize> {
    let git = || {
        let mut git = Command::new("git");
        git.current_dir(root);
        git
    };
    let listed = process::capture(git().args(["rev-list", "--objects", "--all"]))
        .context("the history is looked through: a checkout with git is needed")?;
    let named: Vec<(String, String)> = listed
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter(|(_, path)| !path.is_empty())
        .map(|(object, path)| (object.to_owned(), path.to_owned()))
        .collect();
    let mut batch =
        git().args(["cat-file", "--batch"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut asked = batch.stdin.take().context("git's input")?;
    let mut told = BufReader::new(batch.stdout.take().context("git's output")?);
    let objects: String = named.iter().map(|(object, _)| format!("{object}\n")).collect();
    let asking = thread::spawn(move || asked.write_all(objects.as_bytes()));
    let (mut count, mut head) = (0, String::new());
    for (object, path) in &named {
        head.clear();
        told.read_line(&mut head)?;
        let mut words = head.split_whitespace().skip(1);
        let (Some(kind), Some(size)) = (words.next(), words.next()) else { bail!("git says {head:?}") };
        // A line feed ends it.
        let mut content = vec![0; size.parse::<usize>()? + 1];
        told.read_exact(&mut content)?;
        content.pop();
        if kind != "blob" || content.len() > TEXT_BYTES_MAX || content.contains(&0) {
            continue;
        }
        let name = Path::new(path).file_name().context("a path names a file")?.to_string_lossy();
        let folder = into.join((count / FOLDER_TEXTS).to_string());
        if count % FOLDER_TEXTS == 0 {
            fs::create_dir(&folder)?;
        }
        fs::write(folder.join(format!("{}-{name}", &object[..12])), content)?;
        count += 1;
    }
    asking.join().map_err(|_| anyhow::anyhow!("asking git panicked"))??;
    ensure!(batch.wait()?.success() && count > 0, "git gave no texts");
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_committed_once_is_looked_through_though_it_is_gone() {
        let dir = tempfile::tempdir().expect("a folder");
        let (root, out) = (dir.path().join("tree"), dir.path().join("out"));
        fs::create_dir_all(&root).expect("made");
        fs::create_dir_all(&out).expect("made");
        let git = |args: &[&str]| {
            let mut git = Command::new("git");
            git.current_dir(&root).args(["-c", "user.name=a", "-c", "user.email=a@example.com"]).args(args);
            process::run(&mut git).expect("git does it");
        };
        git(&["init", "--quiet"]);
        fs::write(root.join("gone.txt"), "a secret\n").expect("written");
        fs::write(root.join("picture"), b"\0\0").expect("written");
        git(&["add", "."]);
        git(&["commit", "--quiet", "-m", "one"]);
        fs::remove_file(root.join("gone.txt")).expect("removed");
        fs::write(root.join("stays.txt"), "").expect("written");
        git(&["add", "--all"]);
        git(&["commit", "--quiet", "-m", "two"]);
        assert_eq!(write_out(&root, &out).expect("written out"), 2, "what is no text is left out");
        let mut found: Vec<_> = fs::read_dir(out.join("0"))
            .expect("a folder")
            .map(|entry| fs::read_to_string(entry.expect("a file").path()).expect("a text"))
            .collect();
        found.sort();
        assert_eq!(found, ["", "a secret\n"]);
    }
}
