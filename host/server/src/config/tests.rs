use super::*;

fn load(text: &str) -> Result<Config, BadConfiguration> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("atelier.toml");
    std::fs::write(&path, text).expect("written");
    Config::load(&path)
}

#[test]
fn the_file_that_init_writes_is_valid_and_names_every_limit() {
    let config = load(template::TEXT).expect("valid");
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8484");
    assert_eq!(config.sandbox.memory_mib, 64);
    assert!(config.local.enabled);
}

#[test]
fn all_mistakes_are_reported_at_once_with_what_to_do() {
    let text = template::TEXT
        .replace("listen = \"127.0.0.1:8484\"", "lisen = \"127.0.0.1:8484\"")
        .replace("memory_mib = 64", "memory_mib = -1")
        .replace("cpu_ms = 5000\n", "")
        .replace("level = \"info\"", "level = \"loud\"");
    let text = format!(
        "{text}\n[[instance]]\nname = \"Open AI\"\nplugin = \"openai\"\nsecrets = {{ key = \"plain\" }}\n"
    );
    let error = load(&text).expect_err("many mistakes");
    let mut lines: Vec<String> = error.mistakes.iter().map(Mistake::to_string).collect();
    lines.sort();
    insta::assert_json_snapshot!(lines);
}

#[test]
fn a_missing_secret_stops_nothing_and_is_named() {
    let text = format!(
        "{}\n[[instance]]\nname = \"openai\"\nplugin = \"atelier/openai\"\n\
         secrets = {{ api-key = {{ env = \"ATELIER_TEST_NO_SUCH_VARIABLE\" }}, other = {{ value = \"s3cret\" }} }}\n",
        template::TEXT
    );
    let config = load(&text).expect("valid");
    assert_eq!(config.missing_secrets.len(), 1);
    assert_eq!(config.missing_secrets[0].secret, "api-key");
    assert!(!format!("{config:?}").contains("s3cret"));
}

#[test]
fn an_unknown_trust_word_is_strict() {
    let config = load(&template::TEXT.replace("trust = \"strict\"", "trust = \"lax\"")).expect("valid");
    assert_eq!(
        (config.plugins.trust, config.plugins.unknown_trust.as_deref()),
        (TrustMode::Strict, Some("lax"))
    );
}
