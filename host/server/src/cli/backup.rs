//! `atelier backup`.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use atelier_storage::backup::{self, Manifest};
use atelier_storage::{Blobs, Store};

use super::Configured;
use super::desk::server::Server;
use super::whole_file::WholeFile;
use crate::backup::LastBackup;
use crate::config::Config;

/// Writes FILE: a tar archive with everything that is stored at one moment, namely users, keys, jobs, money, events and files, the
/// content that they name, plugins, the server's own keys and its configuration.
///
/// While the server runs it makes the backup itself and goes on serving: set ATELIER_KEY to an administrator's key. Without it, the
/// store is read directly. FILE appears only once it is whole and was read back; it is readable by you alone. Keep it as safe as the server: it
/// holds what all users have stored. Secrets that stand in the configuration are left out (and asked for in environment variables after a
/// restore), files that secrets are read from always are.
///
/// Then: atelier restore FILE --check, or atelier restore FILE --into DIR
#[derive(Debug, clap::Args)]
pub(super) struct Backup {
    /// The file; it must not exist
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Keep secrets that stand in the configuration in the backup
    #[arg(long)]
    with_secrets: bool,
    #[command(flatten)]
    configured: Configured,
}

impl Backup {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let config = self.configured.load()?;
        make(&config, &self.file, self.with_secrets).await?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Makes a backup, and says what it holds.
pub(super) async fn make(config: &Config, path: &Path, with_secrets: bool) -> anyhow::Result<()> {
    let (whole, file) = WholeFile::begin(path)?;
    write(config, file, with_secrets).await?;
    eprintln!("reading it back");
    let (read, size) = (whole.partial().to_owned(), fs::metadata(whole.partial())?.len());
    let manifest = tokio::task::spawn_blocking(move || check(&read)).await??;
    whole.keep()?;
    if let Err(error) = LastBackup::now(size, manifest.rows).keep(&config.storage.path) {
        eprintln!("when this backup was made could not be written down: {error}");
    }
    println!(
        "Wrote {}: {} rows, {} blobs, {} bytes; read back and whole.",
        path.display(),
        manifest.rows,
        manifest.blobs.count,
        size
    );
    for id in &manifest.blobs.missing {
        println!("NOT in it, because it was gone or damaged already: the blob {id}");
    }
    match with_secrets {
        true => println!("It holds the secrets that stand in the configuration."),
        false => println!(
            "It holds no secrets of the configuration (--with-secrets keeps those that stand in it)."
        ),
    }
    Ok(())
}

async fn write(config: &Config, file: File, with_secrets: bool) -> anyhow::Result<()> {
    if let Some(server) = Server::at_work(config).await? {
        let secrets = if with_secrets { "include" } else { "exclude" };
        let mut shown = Shown::new();
        server
            .download(&format!("/api/v1/admin/backup?secrets={secrets}"), &file, &mut |bytes| {
                shown.bytes(bytes)
            })
            .await?;
        file.sync_all()?;
        return Ok(());
    }
    let config = config.clone();
    let work = move || {
        let store = Store::open_as_it_is(config.storage.database())?;
        let blobs = Blobs::open(config.storage.blobs())?;
        let (mut out, mut shown) = (BufWriter::new(file), Shown::new());
        crate::backup::write(&config, &store, &blobs, with_secrets, &mut out, &mut |progress| {
            shown.all(progress)
        })?;
        out.flush()?;
        out.get_ref().sync_all()?;
        anyhow::Ok(())
    };
    tokio::task::spawn_blocking(work).await?
}

fn check(path: &Path) -> anyhow::Result<Manifest> {
    let (_, manifest) = backup::check(&mut BufReader::new(File::open(path)?), &mut |_| {})?;
    Ok(manifest)
}

/// Tells how far it has come, once a second at most.
pub(super) struct Shown {
    last: Instant,
}

impl Shown {
    pub(super) fn new() -> Self {
        Self { last: Instant::now() }
    }

    fn is_due(&mut self) -> bool {
        let is_due = self.last.elapsed() >= Duration::from_secs(1);
        if is_due {
            self.last = Instant::now();
        }
        is_due
    }

    pub(super) fn bytes(&mut self, bytes: u64) {
        if self.is_due() {
            eprintln!("{} MiB", bytes >> 20);
        }
    }

    pub(super) fn all(&mut self, progress: backup::Progress) {
        if self.is_due() {
            eprintln!("{} rows, {} blobs, {} MiB", progress.rows, progress.blobs, progress.bytes >> 20);
        }
    }
}
