//! `[moderation]`: prompts that are judged before they are sent.

use std::collections::BTreeSet;
use std::time::Duration;

use atelier_domain::alias::Aliases;
use atelier_domain::id::ModelId;
use atelier_service::screening::{OnFailure, ScreeningSettings};
use figment::value::Value;

use super::reader::Section;

const TIMEOUT_SECONDS: u64 = 10;

/// Reads the section: `None` where no model is to judge.
pub(super) fn read(section: &mut Section) -> Option<ScreeningSettings> {
    let model = section.text("model");
    let except: BTreeSet<String> = section.texts("except").into_iter().collect();
    let ignore: BTreeSet<String> = section.texts("ignore").into_iter().collect();
    let scores = section.map("scores", score).into_iter().collect();
    let on_failure = match section.text("on_failure").as_deref() {
        None | Some("refuse") => OnFailure::Refuse,
        Some("send") => OnFailure::Send,
        Some(_) => {
            section.wrong("on_failure", "must be \"refuse\" or \"send\"");
            OnFailure::Refuse
        }
    };
    let timeout = Duration::from_secs(section.number("timeout_seconds", TIMEOUT_SECONDS, 1..=120));
    let settings = ScreeningSettings { model: model?, except, ignore, scores, on_failure, timeout };
    Some(settings)
}

/// Reports a model and exceptions of instances that are not configured: what was meant to be judged would not be.
pub(super) fn check(settings: &ScreeningSettings, aliases: &Aliases, known: &[&str], root: &Section) {
    let ScreeningSettings { model, except, .. } = settings;
    if !aliases.contains_key(model) {
        match model.parse::<ModelId>() {
            Ok(id) if known.contains(&id.instance()) => {}
            Ok(id) => root.wrong("moderation.model", format!("there is no instance {}", id.instance())),
            Err(_) => root.wrong(
                "moderation.model",
                "must be a model such as \"openai/omni-moderation-latest\", or one of [models.aliases]",
            ),
        }
    }
    for instance in except.iter().filter(|instance| !known.contains(&instance.as_str())) {
        root.wrong("moderation.except", format!("there is no instance {instance}"));
    }
}

fn score(value: &Value) -> Result<f64, String> {
    let number = value.to_f64().or_else(|| value.to_u128().map(|number| number as f64));
    let number = number.or_else(|| value.to_i128().map(|number| number as f64));
    number.filter(|score| (0.0..=1.0).contains(score)).ok_or_else(|| "must be from 0 to 1".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use figment::Figment;
    use figment::providers::{Format as _, Toml};

    fn read_all(text: &str) -> (Option<ScreeningSettings>, Vec<String>) {
        let values = Figment::from(Toml::string(text)).extract().expect("TOML");
        let mut root = Section::root(values);
        let settings = root.section("moderation", read);
        if let Some(settings) = &settings {
            check(settings, &Aliases::new(), &["openai", "local"], &root);
        }
        (settings, root.finish().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn nothing_is_judged_unless_a_model_is_named() {
        let (settings, mistakes) = read_all("");
        assert!(settings.is_none() && mistakes.is_empty());
        let (settings, mistakes) = read_all("[moderation]\nmodel = \"openai/m\"\n");
        let settings = settings.expect("a model is named");
        assert!(mistakes.is_empty(), "{mistakes:?}");
        assert_eq!((settings.on_failure, settings.timeout.as_secs()), (OnFailure::Refuse, 10));
    }

    #[test]
    fn scores_exceptions_and_failures_are_the_operators() {
        let text = "[moderation]\nmodel = \"openai/m\"\nexcept = [\"local\"]\nignore = [\"harassment\"]\n\
            scores = { violence = 0.5, sexual = 1 }\non_failure = \"send\"\ntimeout_seconds = 3\n";
        let (settings, mistakes) = read_all(text);
        let settings = settings.expect("a model is named");
        assert!(mistakes.is_empty(), "{mistakes:?}");
        assert!(settings.except.contains("local") && settings.ignore.contains("harassment"));
        assert_eq!((settings.scores["violence"], settings.scores["sexual"]), (0.5, 1.0));
        assert_eq!((settings.on_failure, settings.timeout.as_secs()), (OnFailure::Send, 3));
    }

    #[test]
    fn mistakes_are_named_with_what_to_do() {
        for (line, word) in [
            ("model = \"nobody/m\"", "no instance nobody"),
            ("model = \"m\"", "omni-moderation-latest"),
            ("model = \"openai/m\"\nexcept = [\"opnai\"]", "no instance opnai"),
            ("model = \"openai/m\"\nscores = { violence = 1.5 }", "from 0 to 1"),
            ("model = \"openai/m\"\nscores = { violence = \"much\" }", "from 0 to 1"),
            ("model = \"openai/m\"\non_failure = \"pass\"", "\"refuse\" or \"send\""),
            ("model = \"openai/m\"\ntimeout_seconds = 0", "1"),
            ("modell = \"openai/m\"", "model"),
        ] {
            let (_, mistakes) = read_all(&format!("[moderation]\n{line}\n"));
            assert!(mistakes.iter().any(|mistake| mistake.contains(word)), "{line}: {mistakes:?}");
        }
    }
}
