//! `[models]`: the operator's own names for models.

use atelier_domain::alias::{Alias, AliasTarget, Aliases, InvalidAlias};
use figment::value::{Dict, Value};

use super::reader::Section;

const EXAMPLE: &str = "write \"openai/gpt-4o\", a list of such ids in the order in which they step in for each other, or \
    { targets = [{ model = \"openai/gpt-4o\", weight = 3 }, …], audience = \"everyone\" }";

/// Names of the operator's own for models.
#[derive(Clone, Debug)]
pub struct Models {
    pub aliases: Aliases,
}

impl Models {
    pub(super) fn read(section: &mut Section) -> Self {
        let values = section.table("aliases");
        let mut aliases = Aliases::new();
        for (name, value) in &values {
            let checked = alias(value, &values).and_then(|alias| match alias.check() {
                Ok(()) => Ok(alias),
                Err(why) => Err(why.to_string()),
            });
            match checked {
                Ok(alias) => {
                    aliases.insert(name.clone(), alias);
                }
                Err(what) => section.wrong(&format!("aliases.{name}"), what),
            }
        }
        Self { aliases }
    }

    /// Reports aliases that lead to an instance which is not configured.
    pub(super) fn check_instances(&self, root: &Section, known: &[&str]) {
        let mut names: Vec<_> = self.aliases.keys().collect();
        names.sort_unstable();
        for name in names {
            if let Err(why) = self.aliases[name].check_instances(known) {
                root.wrong(&format!("models.aliases.{name}"), why.to_string());
            }
        }
    }
}

fn alias(value: &Value, all: &Dict) -> Result<Alias, String> {
    match value {
        Value::String(_, model) => {
            Ok(Alias { targets: vec![target(model, 1, all)?], is_for_administrators: false })
        }
        Value::Array(_, models) => {
            // The first has all requests; the others step in.
            let targets = models.iter().enumerate().map(|(i, model)| match model {
                Value::String(_, model) => target(model, u32::from(i == 0), all),
                _ => Err(EXAMPLE.to_owned()),
            });
            Ok(Alias { targets: targets.collect::<Result<_, _>>()?, is_for_administrators: false })
        }
        Value::Dict(_, members) => {
            known(members, &["targets", "audience"])?;
            let Some(Value::Array(_, targets)) = members.get("targets") else {
                return Err(EXAMPLE.to_owned());
            };
            let targets = targets.iter().map(|value| weighted(value, all)).collect::<Result<_, _>>()?;
            let is_for_administrators = match members.get("audience") {
                None => false,
                Some(Value::String(_, word)) if word == "everyone" => false,
                Some(Value::String(_, word)) if word == "administrators" => true,
                Some(_) => return Err("audience must be \"everyone\" or \"administrators\"".to_owned()),
            };
            Ok(Alias { targets, is_for_administrators })
        }
        _ => Err(EXAMPLE.to_owned()),
    }
}

fn weighted(value: &Value, all: &Dict) -> Result<AliasTarget, String> {
    let Value::Dict(_, members) = value else { return Err(EXAMPLE.to_owned()) };
    known(members, &["model", "weight"])?;
    let Some(Value::String(_, model)) = members.get("model") else { return Err(EXAMPLE.to_owned()) };
    let weight = match members.get("weight") {
        None => 1,
        Some(Value::Num(_, weight)) => weight
            .to_u128()
            .or_else(|| weight.to_i128().and_then(|weight| u128::try_from(weight).ok()))
            .and_then(|weight| u32::try_from(weight).ok())
            .ok_or("a weight is a whole number, 0 for a target that only steps in")?,
        Some(_) => return Err("a weight is a whole number, 0 for a target that only steps in".to_owned()),
    };
    target(model, weight, all)
}

fn known(members: &Dict, names: &[&str]) -> Result<(), String> {
    match members.keys().find(|name| !names.contains(&name.as_str())) {
        Some(unknown) => Err(format!("{unknown:?} is not known here: {EXAMPLE}")),
        None => Ok(()),
    }
}

fn target(model: &str, weight: u32, all: &Dict) -> Result<AliasTarget, String> {
    if all.contains_key(model) {
        return Err(InvalidAlias::Alias(model.to_owned()).to_string());
    }
    let model = model.parse().map_err(|error: atelier_domain::id::InvalidId| error.to_string())?;
    Ok(AliasTarget { model, weight })
}

#[cfg(test)]
mod tests {
    use super::*;
    use figment::Figment;
    use figment::providers::{Format as _, Toml};

    fn read(text: &str) -> (Models, Vec<String>) {
        let values = Figment::from(Toml::string(text)).extract().expect("TOML");
        let mut root = Section::root(values);
        let models = Models::read(&mut root);
        models.check_instances(&root, &["a", "b"]);
        (models, root.finish().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn an_alias_is_a_model_a_list_or_a_table() {
        let text = "[aliases]\none = \"a/x\"\nlist = [\"a/x\", \"b/y\"]\n\
            table = { targets = [{ model = \"a/x\", weight = 3 }, { model = \"b/y\" }], audience = \"administrators\" }\n";
        let (models, mistakes) = read(text);
        assert!(mistakes.is_empty(), "{mistakes:?}");
        let weights = |name: &str| -> Vec<u32> {
            models.aliases[name].targets.iter().map(|target| target.weight).collect()
        };
        assert_eq!((weights("one"), weights("list"), weights("table")), (vec![1], vec![1, 0], vec![3, 1]));
        assert!(
            models.aliases["table"].is_for_administrators && !models.aliases["list"].is_for_administrators
        );
    }

    #[test]
    fn circles_unknown_targets_and_bad_weights_are_mistakes_with_what_to_do() {
        for (alias, word) in [
            ("x = \"x\"", "another alias"),
            ("x = \"y\"\ny = \"x\"", "another alias"),
            ("x = [\"a/x\", \"y\"]\ny = \"b/y\"", "another alias"),
            ("x = \"c/x\"", "no instance c"),
            ("x = \"gpt\"", "instance/model"),
            ("x = []", "1 to 8"),
            ("x = 5", "write"),
            ("x = { model = \"a/x\" }", "not known"),
            ("x = { targets = [{ model = \"a/x\", weight = -1 }] }", "whole number"),
            ("x = { targets = [{ model = \"a/x\", weight = 0 }] }", "above 0"),
            ("x = { targets = [{ model = \"a/x\" }], audience = \"me\" }", "audience"),
            ("x = [\"a/x\", \"a/x\"]", "twice"),
        ] {
            let (_, mistakes) = read(&format!("[aliases]\n{alias}\n"));
            assert!(mistakes.iter().any(|mistake| mistake.contains(word)), "{alias}: {mistakes:?}");
        }
    }
}
