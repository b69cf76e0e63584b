//! What `atelier doctor` says of what is stored: from the files themselves, or from the server that has them open.

use std::time::Duration;

use anyhow::{Context as _, bail};
use atelier_domain::disk::DiskSpace as _;
use atelier_domain::store::StoreError;
use atelier_storage::{Blobs, Disk, SealingKey, Store};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use serde::Deserialize;

use super::{Findings, plugins};
use crate::app::is_bad;
use crate::backup::LastBackup;
use crate::cli::reach::{self, Client};
use crate::config::Config;
use crate::key_file::KeyFile;

const PATIENCE: Duration = Duration::from_secs(10);
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// Below this a server soon refuses to write.
const FREE_BYTES_MIN: u64 = 256 << 20;
/// Missing blobs that are named one by one.
const NAMED_MAX: usize = 20;
/// Blobs looked for at once.
const PAGE: usize = 256;

/// What the running server says of what it has stored (`/health/ready`).
#[derive(Debug, Deserialize)]
pub(super) struct Told {
    storage: Storage,
}

#[derive(Debug, Deserialize)]
struct Storage {
    check: String,
    damage: Option<String>,
    rows: Option<u64>,
    rows_checked: u64,
    blobs_checked: u64,
    blobs_missing: u64,
    missing: Vec<String>,
}

/// Asks the running server; `None` if there is none.
pub(super) async fn ask(config: &Config) -> anyhow::Result<Option<Told>> {
    let address = config.admin.listen;
    if tokio::net::TcpStream::connect(address).await.is_err() {
        return Ok(None);
    }
    let transport = &config.admin.transport;
    if transport.files().is_some_and(|files| files.client_ca.is_some()) {
        bail!(
            "{address} wants a certificate of its clients, which this command has not: ask /health/ready with one"
        )
    }
    let client: Client<Empty<Bytes>> = reach::client(transport)?;
    let exchange = async {
        let response =
            client.get(format!("{}://{address}/health/ready", transport.scheme()).parse()?).await?;
        // Both 200 and 503 tell.
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        anyhow::Ok(body.map_err(|error| anyhow::anyhow!(error))?.to_bytes())
    };
    let body = tokio::time::timeout(PATIENCE, exchange)
        .await
        .with_context(|| format!("{address} did not answer in {} s", PATIENCE.as_secs()))??;
    let told = serde_json::from_slice(&body);
    Ok(Some(told.with_context(|| format!("what answers at {address} is no server of this version"))?))
}

/// What is said of the store and its blobs.
pub(super) fn examine(config: &Config, told: anyhow::Result<Option<Told>>, findings: &mut Findings) {
    let folder = config.storage.database();
    if !folder.exists() {
        let shown = config.storage.path.display();
        findings.problem(&format!(
            "there is no store in {shown}: make one with `atelier init DIR`, or set [storage] path"
        ));
        return;
    }
    match Disk::of(&config.storage.path).free_bytes() {
        Ok(free) if free < FREE_BYTES_MIN => findings.problem(&format!(
            "{} MiB are left in {}: make room, or storage will refuse to write",
            free >> 20,
            config.storage.path.display()
        )),
        Ok(free) => {
            findings.good(&format!("{} MiB are left in {}", free >> 20, config.storage.path.display()))
        }
        Err(error) => findings.problem(&format!("how much space is left: {error}")),
    }
    match LastBackup::read(&config.storage.path) {
        Ok(Some(last)) => findings.good(&format!(
            "the last backup was made {} ({} rows, {} MiB)",
            ago(last.age()),
            last.rows,
            last.bytes >> 20
        )),
        Ok(None) => {
            findings.note("no backup was made yet: `atelier backup FILE` makes one while the server runs")
        }
        Err(error) => findings.problem(&format!("when the last backup was made: {error}")),
    }
    match told {
        Ok(Some(told)) => running(&told.storage, findings),
        Ok(None) => stopped(config, findings),
        Err(error) => {
            findings.problem(&format!("the running server does not say how its store is: {error:#}"))
        }
    }
}

fn ago(age: Duration) -> String {
    match age.as_secs() / 3600 {
        0 => "within the last hour".to_owned(),
        hours @ 1..48 => format!("{hours} hours ago"),
        hours => format!("{} days ago", hours / 24),
    }
}

fn running(told: &Storage, findings: &mut Findings) {
    findings.good("the server runs and has the store open");
    let rows = told.rows.unwrap_or(0);
    match (told.check.as_str(), &told.damage) {
        (_, Some(damage)) => findings.problem(&format!("the store: {damage}")),
        ("whole", None) => findings
            .good(&format!("all {rows} rows of the store were read, and are those that were committed")),
        _ => findings.note(&format!(
            "{} of {rows} rows of the store were checked since the server started; ask again for the rest",
            told.rows_checked
        )),
    }
    if told.blobs_missing == 0 {
        findings.good(&format!("{} blobs were looked for, and are there", told.blobs_checked));
        return;
    }
    told.missing.iter().for_each(|reason| findings.problem(reason));
    findings.note(&format!(
        "of {} blobs looked for, {} are gone or damaged",
        told.blobs_checked, told.blobs_missing
    ));
}

fn stopped(config: &Config, findings: &mut Findings) {
    let folder = config.storage.database();
    let store = match Store::open_as_it_is(&folder) {
        Ok(store) => store,
        Err(error) => {
            findings.problem(&format!("the store in {}: {error}", folder.display()));
            return;
        }
    };
    match store.verify() {
        Ok(rows) => findings.good(&format!(
            "all {rows} rows of the store in {} are those that were committed",
            folder.display()
        )),
        Err(error) => {
            findings.problem(&format!("the store in {}: {error}", folder.display()));
            return;
        }
    }
    sealing(config, &store, findings);
    plugins(config, &store, findings);
    match Blobs::open(config.storage.blobs()) {
        Ok(blobs) => {
            if let Err(error) = look_for_blobs(&store, &blobs, findings) {
                findings.problem(&format!("the blobs that rows name: {error}"));
            }
        }
        Err(error) => findings.problem(&format!("the blob store: {error}")),
    }
}

/// Whether the key that seals secrets is here, and where.
fn sealing(config: &Config, store: &Store, findings: &mut Findings) {
    let data = &config.storage.path;
    let beside = match KeyFile::Sealing.read(data) {
        Ok(key) => key.map(SealingKey::new),
        Err(error) => return findings.problem(&format!("the key that seals secrets: {error}")),
    };
    let sealed_by = match store.sealed_by() {
        Ok(Some(name)) => name,
        Ok(None) => return,
        Err(error) => return findings.problem(&format!("what secrets are sealed with: {error}")),
    };
    let is = |key: &Option<SealingKey>| key.as_ref().is_some_and(|key| key.name() == sealed_by);
    if is(&config.sealing.key) {
        findings.good(&format!("secrets are sealed with key {sealed_by}, the one in [secrets]"));
    } else if is(&beside) {
        findings.note(&format!(
            "secrets are sealed with key {sealed_by}, which lies beside them in {}: whoever copies the folder has both; [secrets] \
             takes a key from elsewhere",
            data.join(KeyFile::Sealing.name()).display()
        ));
    } else if is(&config.sealing.retired) {
        findings
            .note(&format!("secrets are sealed with the retired key {sealed_by} until the server starts"));
    } else {
        findings.problem(&format!(
            "secrets are sealed with key {sealed_by}, which is not here: give it in [secrets], or bring sealing.key back; if it is \
             lost, `atelier secrets forget` removes what it sealed"
        ));
    }
}

fn look_for_blobs(store: &Store, blobs: &Blobs, findings: &mut Findings) -> Result<(), StoreError> {
    let (mut after, mut seen, mut bad) = (None, 0, 0);
    loop {
        let ids = store.named_blobs(after, PAGE)?;
        let Some(last) = ids.last() else { break };
        after = Some(*last);
        seen += ids.len();
        for reason in ids.iter().filter_map(|id| is_bad(blobs, id)) {
            bad += 1;
            if bad <= NAMED_MAX {
                findings.problem(&reason);
            }
        }
    }
    match bad {
        0 => findings.good(&format!("all {seen} blobs that rows name are there")),
        bad => findings.note(&format!("of {seen} blobs that rows name, {bad} are gone or damaged")),
    }
    Ok(())
}
