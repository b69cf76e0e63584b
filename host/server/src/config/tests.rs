use atelier_domain::generation::usage::UsageLine;
use atelier_domain::money::MicroCredits;
use atelier_service::ledger::Accounting;

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
fn a_mistake_of_form_is_told_by_its_line_and_without_the_secret_beside_it() {
    let broken = "[[instance]]\nname = \"openai\"\nsecrets = { key = { value = \"s3cret\" }\n";
    let told = load(broken).expect_err("a brace is missing").to_string();
    assert!(told.contains("line 3: ") && !told.contains("s3cret"), "{told}");
}

#[test]
fn a_secret_s_file_is_read_up_to_its_bound() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("atelier.toml");
    let instance = "[[instance]]\nname = \"a\"\nplugin = \"b/c\"\nsecrets = { long = { file = \"long\" }, endless = { file = \"/dev/zero\" } }\n";
    std::fs::write(&path, format!("{}\n{instance}", template::TEXT)).expect("written");
    std::fs::write(folder.path().join("long"), "x".repeat(65_537)).expect("written");
    let missing = Config::load(&path).expect("valid").missing_secrets;
    let told: Vec<_> = missing.iter().map(|missing| missing.reason.as_str()).collect();
    assert!(
        told.len() == 2 && told.iter().all(|why| why.ends_with("a secret has 65536 bytes at most")),
        "{told:?}"
    );
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
fn nothing_is_traced_without_an_endpoint_and_a_key_does_not_go_in_the_clear() {
    let with = |traces: &str| load(&format!("{}\n[traces]\n{traces}\n", template::TEXT));
    assert!(load(template::TEXT).expect("valid").traces.is_none());
    assert!(with("sample_ratio = 0.5").expect("the endpoint may come from the environment").traces.is_none());
    let all = "endpoint = \"https://otlp.example.com/v1/traces\"\nheaders = { x-key = { value = \"s3cret\" } }\nsample_ratio = 1";
    let config = with(all).expect("valid");
    let traces = config.traces.as_ref().expect("traced");
    assert_eq!((traces.sample_ratio, traces.trust_callers, traces.queue_max), (1.0, false, 8_192));
    assert!(!format!("{config:?}").contains("s3cret"));
    let mistakes = |traces: &str| -> Vec<String> {
        let error = with(traces).expect_err("a mistake");
        error.mistakes.iter().map(|mistake| mistake.path.clone()).collect()
    };
    for endpoint in
        ["otlp.example.com:4318", "http://127.0.0.1:4318", "ftp://x/v1/traces", "https://a:b@x/v1/traces"]
    {
        assert_eq!(mistakes(&format!("endpoint = \"{endpoint}\"")), ["traces.endpoint"], "{endpoint}");
    }
    let key = "headers = { x-key = { value = \"s3cret\" } }";
    assert_eq!(
        mistakes(&format!("endpoint = \"http://otlp.example.com/v1/traces\"\n{key}")),
        ["traces.endpoint"]
    );
    with(&format!("endpoint = \"http://[::1]:4318/v1/traces\"\n{key}")).expect("it stays on this machine");
    for ratio in ["1.1", "-0.1", "\"all\"", "nan"] {
        assert_eq!(mistakes(&format!("sample_ratio = {ratio}")), ["traces.sample_ratio"], "{ratio}");
    }
    for header in ["content-type", "\"a b\""] {
        let found = mistakes(&format!("headers = {{ {header} = {{ value = \"v\" }} }}"));
        assert_eq!(found, [format!("traces.headers.{}", header.trim_matches('"'))]);
    }
    assert_eq!(
        mistakes("service_name = \"\"\nqueue_spans = 0"),
        ["traces.service_name", "traces.queue_spans"]
    );
}

#[test]
fn nobody_is_told_of_errors_without_a_dsn_which_is_a_secret_and_goes_over_tls() {
    let with = |errors: &str| load(&format!("{}\n[errors]\n{errors}\n", template::TEXT));
    let dsn = |dsn: &str| format!("dsn = {{ value = \"{dsn}\" }}");
    assert!(load(template::TEXT).expect("valid").errors.is_none());
    assert!(with("per_minute = 5").expect("the DSN may come from the environment").errors.is_none());
    let config = with(&dsn("https://s3cret:0ld@sentry.example.com/below/42")).expect("valid");
    let errors = config.errors.as_ref().expect("told");
    assert_eq!(errors.endpoint.as_str(), "https://sentry.example.com/below/api/42/envelope/");
    assert_eq!((errors.key.reveal(), errors.environment.as_str()), ("s3cret", "production"));
    assert_eq!(errors.release, format!("atelier@{}", env!("CARGO_PKG_VERSION")));
    let printed = format!("{config:?}");
    assert!(!printed.contains("s3cret") && !printed.contains("0ld"));
    let mistakes = |errors: &str| -> Vec<String> {
        let error = with(errors).expect_err("a mistake");
        assert!(!error.to_string().contains("s3cret"), "{error}");
        error.mistakes.iter().map(|mistake| mistake.path.clone()).collect()
    };
    for wrong in [
        "sentry.example.com",
        "https://sentry.example.com/42",
        "https://s3cret@sentry.example.com",
        "https://s3cret@sentry.example.com/",
        "https://s3cret@sentry.example.com/4%202",
        "https://s3cr%0aet@sentry.example.com/42",
        "https://s3cret@sentry.example.com/42?x=s3cret",
        "ftp://s3cret@sentry.example.com/42",
        "http://s3cret@sentry.example.com/42",
        "http://s3cret@10.0.0.7:9000/42",
    ] {
        assert_eq!(mistakes(&dsn(wrong)), ["errors.dsn"], "{wrong}");
    }
    for here in ["127.0.0.1:9000", "[::1]:9000", "localhost"] {
        with(&dsn(&format!("http://s3cret@{here}/42"))).expect("it stays on this machine");
    }
    assert_eq!(
        mistakes("dsn = \"https://s3cret@sentry.example.com/42\""),
        ["errors.dsn"],
        "no secret's form"
    );
    assert_eq!(mistakes("dsn = { env = \"ATELIER_TEST_NO_SUCH_VARIABLE\" }"), ["errors.dsn"]);
    assert_eq!(
        mistakes("environment = \"a b\"\nrelease = \"a/b\"\nper_minute = 0\nqueue_reports = 0\ncolour = 1"),
        [
            "errors.environment",
            "errors.release",
            "errors.queue_reports",
            "errors.per_minute",
            "errors.colour"
        ]
    );
}

#[test]
fn an_unknown_trust_word_is_strict() {
    let config = load(&template::TEXT.replace("trust = \"strict\"", "trust = \"lax\"")).expect("valid");
    assert_eq!(
        (config.plugins.trust, config.plugins.unknown_trust.as_deref()),
        (TrustMode::Strict, Some("lax"))
    );
}

#[test]
fn a_fresh_configuration_needs_no_credits_and_prices_are_read() {
    let config = load(template::TEXT).expect("valid");
    assert_eq!(config.money.accounting, Accounting::Record);
    assert!(config.money.prices.is_empty());
    let uncommented = template::TEXT
        .replace("accounting = \"record\"", "accounting = \"enforce\"")
        .replace("# [[price]]\n# model = ", "[[price]]\nmodel = ")
        .replace("# free = true", "free = true")
        .replace("# per_million", "per_million")
        .replace("# hold = 80000 ", "hold = 80000 ");
    let money = load(&uncommented).expect("what the template shows is valid").money;
    assert_eq!(money.accounting, Accounting::Enforce);
    assert!(money.prices.of("local/smollm2-135m-instruct").expect("a price").snapshot.is_free());
    let image = money.prices.of("openai/dall-e-3").expect("a price");
    let cost = image.snapshot.cost(&[UsageLine::new("images", 2)]).expect("small").total.get();
    assert_eq!((cost, image.hold.map(MicroCredits::get)), (80_000, Some(80_000)));
    let chat = money.prices.of("openai/gpt-4o-mini").expect("a price");
    assert_eq!(chat.snapshot.lines().len(), 3);
    assert!(money.prices.of("openai/other").is_none(), "no price is no price, not a free one");
}

#[test]
fn prices_and_accounting_that_could_be_meant_otherwise_are_refused() {
    let wrong = |more: &str| {
        let text = template::TEXT.replace("accounting = \"record\"", "");
        let error = load(&format!("{text}\n{more}")).expect_err(more);
        error.mistakes.iter().map(|mistake| mistake.path.clone()).collect::<Vec<_>>()
    };
    let price = |members: &str| wrong(&format!("[[price]]\n{members}"));
    assert_eq!(price("model = \"a/b\"\nfree = true\nper_million = { images = 1 }"), ["price[0].per_million"]);
    assert_eq!(price("model = \"a/b\""), ["price[0].per_million"], "free must be said");
    assert_eq!(
        price("model = \"a/b\"\nper_million = { images = -1 }"),
        ["price[0].per_million.images", "price[0].per_million"]
    );
    assert_eq!(
        price("model = \"a/b\"\nper_million = { images = 1.5 }"),
        ["price[0].per_million.images", "price[0].per_million"]
    );
    assert_eq!(
        price("model = \"a/b\"\nper_million = { images = 9000000000000001 }"),
        ["price[0].per_million.images", "price[0].per_million"]
    );
    assert_eq!(price("model = \"b\"\nfree = true"), ["price[0].model"]);
    assert_eq!(
        price("model = \"*\"\nfree = true\n[[price]]\nmodel = \"*\"\nfree = true"),
        ["price[1].model"]
    );
    let enforced = |word: &str| {
        let text = template::TEXT.replace("accounting = \"record\"", &format!("accounting = \"{word}\""));
        let error = load(&text).expect_err(word);
        error.mistakes.iter().map(|mistake| mistake.path.clone()).collect::<Vec<_>>()
    };
    assert_eq!(enforced("enforce"), ["money.accounting"], "every call would be refused");
    assert_eq!(enforced("off"), ["money.accounting"]);
}

#[test]
fn sign_up_wants_mail_and_a_placeholder_is_no_administrator() {
    let mistakes = |more: &str| {
        let error = load(&format!("{}\n{more}", template::TEXT)).expect_err("mistakes");
        error.mistakes.iter().map(|mistake| mistake.path.clone()).collect::<Vec<_>>()
    };
    let accounts = "[accounts]\nsign_up = true\nadministrators = [\"admin@example.com\", \"nobody\", \"ada@atelier.dev\"]\n";
    let found = mistakes(&format!("{accounts}verify_page = \"https://app.example.com/verify\"\n"));
    let expected = [
        "accounts.verify_page",
        "accounts.administrators",
        "accounts.administrators",
        "accounts.sign_up",
        "accounts.administrators",
    ];
    assert_eq!(found, expected);
    let found = mistakes(
        "[mail]\nserver = \"smtp.atelier.dev\"\nfrom = \"Atelier\"\nuser = \"atelier\"\nsecurity = \"ssl\"\n",
    );
    assert_eq!(found, ["mail.security", "mail.server", "mail.from", "mail.password"]);
    let found = mistakes(
        "[mail]\nserver = \"smtp.atelier.dev:25\"\nfrom = \"noreply@atelier.dev\"\nsecurity = \"none\"\n",
    );
    assert_eq!(found, ["mail.security"], "passwords and tokens do not go in the clear");

    let mail = "[mail]\nserver = \"smtp.atelier.dev:587\"\nfrom = \"noreply@atelier.dev\"\nuser = \"a\"\npassword = { value = \"s3cret\" }\n";
    let config = load(&format!("{}\n[accounts]\nsign_up = true\n{mail}", template::TEXT)).expect("valid");
    let found = config.mail.as_ref().expect("mail");
    assert_eq!(
        (found.host.as_str(), found.port, found.security),
        ("smtp.atelier.dev", 587, MailSecurity::StartTls)
    );
    assert!(!format!("{config:?}").contains("s3cret"));
}
