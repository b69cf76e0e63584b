//! Exchanges are recorded from a provider as it speaks, without a secret, and replayed.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use mock_upstream::{Config, MockUpstream};

use crate::{built, root, stderr, stdout};

const SECRET: &str = "sk-live-0123456789abcdef";

fn test(dir: &Path, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_atelier"))
        .args(["plugin", "test"])
        .arg(dir)
        .arg("--file")
        .arg(built("openai"))
        .args(more)
        .env("RECORDED_KEY", SECRET)
        .output()
        .expect("it runs")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_provider_says_is_recorded_without_secrets_and_passes_the_suite() {
    let upstream = MockUpstream::start(Config::default()).await.expect("the upstream");
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().to_owned();
    fs::create_dir_all(dir.join("tests")).expect("a folder");
    let cases = root().join("plugins/openai/tests/conformance.toml");
    fs::copy(cases, dir.join("tests/conformance.toml")).expect("copied");
    let url = format!("{}/v1", upstream.url());
    let recorded = {
        let dir = dir.clone();
        let run = move || {
            test(&dir, &["--record", "--private", "--base-url", &url, "--secret", "api-key=RECORDED_KEY"])
        };
        tokio::task::spawn_blocking(run).await.expect("it runs")
    };
    assert!(recorded.status.success(), "{}\n{}", stdout(&recorded), stderr(&recorded));

    let mut files = 0;
    for entry in fs::read_dir(dir.join("tests/exchanges")).expect("recorded") {
        let text = fs::read_to_string(entry.expect("an entry").path()).expect("text");
        assert!(!text.contains(SECRET) && !text.contains("placeholder-for"), "{text}");
        assert!(!text.contains(&upstream.address().to_string()), "{text}");
        files += 1;
    }
    assert!(files >= 8, "{files} files");
    assert!(upstream.charges().requests > 0, "the provider itself was asked");
    drop(upstream);

    let replayed = test(&dir, &[]);
    assert!(replayed.status.success(), "{}\n{}", stdout(&replayed), stderr(&replayed));
}
