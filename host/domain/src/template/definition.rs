//! What an administrator may write down as a template.

use std::collections::BTreeSet;

use super::variable::checked_text;
use super::{Audience, FileKind, Settings, Template, Variable, VariableKind};
use crate::model::Task;

const NAME_CHARACTERS_MAX: usize = 100;
const DESCRIPTION_CHARACTERS_MAX: usize = 2_000;
const WORD_CHARACTERS_MAX: usize = 64;
const TAGS_MAX: usize = 16;
const VARIABLES_MAX: usize = 32;
const VARIABLE_NAME_BYTES_MAX: usize = 64;
const VARIABLE_DESCRIPTION_CHARACTERS_MAX: usize = 500;
const OPTIONS_MAX: usize = 100;
const OPTION_CHARACTERS_MAX: usize = 200;
const USERS_MAX: usize = 1_000;
const COUNT_MAX: u32 = 16;
const SETTING_BYTES_MAX: usize = 64;
/// Of provider-specific options.
const OPTIONS_BYTES_MAX: usize = 16 * 1024;

/// Why something is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{param}: {message}")]
pub struct InvalidTemplate {
    /// Path of the member.
    pub param: String,
    pub message: String,
}

fn invalid<T>(param: impl Into<String>, message: impl Into<String>) -> Result<T, InvalidTemplate> {
    Err(InvalidTemplate { param: param.into(), message: message.into() })
}

impl Template {
    /// The most characters of one text variable.
    pub const VARIABLE_CHARACTERS_MAX: u32 = 20_000;
    /// The most characters that a caller may add in their own words.
    pub const TEXT_CHARACTERS_MAX: u32 = 2_000;
    /// The most bytes of a prompt's source.
    pub const SOURCE_BYTES_MAX: usize = 32 * 1024;
    /// What a prompt may call the caller's own words: no variable is called so.
    pub const TEXT: &str = "text";

    /// Checks all but the prompts, whose language the domain does not know.
    ///
    /// # Errors
    /// The first member that cannot be, and why.
    pub fn check(&self) -> Result<(), InvalidTemplate> {
        Self::check_name(&self.name)?;
        prose("description", &self.description, DESCRIPTION_CHARACTERS_MAX)?;
        if let Some(scene) = &self.scene {
            line("scene", scene, 1, WORD_CHARACTERS_MAX)?;
        }
        if self.tags.len() > TAGS_MAX {
            return invalid("tags", format!("at most {TAGS_MAX} tags"));
        }
        self.tags.iter().try_for_each(|tag| line("tags", tag, 1, WORD_CHARACTERS_MAX))?;
        if self.task != Task::Chat && !self.task.is_media() {
            return invalid("task", "must be chat, or a task of images, videos or sound");
        }
        if self.text_characters_max > Self::TEXT_CHARACTERS_MAX {
            return invalid("text_max", format!("at most {}", Self::TEXT_CHARACTERS_MAX));
        }
        if let Audience::Users(users) = &self.audience
            && !(1..=USERS_MAX).contains(&users.len())
        {
            return invalid("users", format!("must be 1 to {USERS_MAX} users"));
        }
        if self.prompt.reveal().is_empty() {
            return invalid("prompt", "must not be empty");
        }
        if self.task == Task::Chat && self.negative_prompt.is_some() {
            return invalid("negative_prompt", "a chat has none");
        }
        self.settings.check(self.task)?;
        self.check_options()?;
        self.check_variables()
    }

    /// Whether it can be a template's name.
    ///
    /// # Errors
    /// It is empty, too long, or no single line.
    pub fn check_name(name: &str) -> Result<(), InvalidTemplate> {
        line("name", name, 1, NAME_CHARACTERS_MAX)
    }

    fn check_options(&self) -> Result<(), InvalidTemplate> {
        let options = self.options.reveal();
        if options.len() > OPTIONS_BYTES_MAX {
            return invalid("options", format!("may have {OPTIONS_BYTES_MAX} bytes at most"));
        }
        match serde_json::from_str(options) {
            Ok(serde_json::Value::Object(_)) => Ok(()),
            Ok(_) | Err(_) => invalid("options", "must be an object"),
        }
    }

    fn check_variables(&self) -> Result<(), InvalidTemplate> {
        if self.variables.len() > VARIABLES_MAX {
            return invalid("variables", format!("at most {VARIABLES_MAX} variables"));
        }
        let mut names = BTreeSet::new();
        for (i, variable) in self.variables.iter().enumerate() {
            let at = |member: &str| format!("variables[{i}].{member}");
            if !is_name(&variable.name) {
                let rule = "must begin with a letter and have letters (a to z), digits and underscores only";
                return invalid(at("name"), format!("{rule}, at most {VARIABLE_NAME_BYTES_MAX}"));
            }
            if RESERVED.contains(&variable.name.as_str()) {
                return invalid(at("name"), format!("may not be one of {}", RESERVED.join(", ")));
            }
            if !names.insert(&variable.name) {
                return invalid(at("name"), "another variable has this name");
            }
            prose(&at("description"), &variable.description, VARIABLE_DESCRIPTION_CHARACTERS_MAX)?;
            variable.check(&at, self.task)?;
        }
        Ok(())
    }
}

/// Names with a meaning of their own in prompts.
const RESERVED: [&str; 13] =
    [Template::TEXT, "loop", "range", "self", "true", "false", "none", "and", "or", "not", "in", "is", "if"];

fn is_name(name: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    name.len() <= VARIABLE_NAME_BYTES_MAX
        && name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic())
        && name.bytes().all(is_word)
}

impl Variable {
    fn check(&self, at: &dyn Fn(&str) -> String, task: Task) -> Result<(), InvalidTemplate> {
        match &self.kind {
            VariableKind::Text { characters_max, default } => {
                let max = Template::VARIABLE_CHARACTERS_MAX;
                if !(1..=max).contains(characters_max) {
                    return invalid(at("max"), format!("must be from 1 to {max}"));
                }
                let Some(default) = default else { return Ok(()) };
                checked_text(default, *characters_max).or_else(|why| invalid(at("default"), why.to_string()))
            }
            VariableKind::Number { min, max, default, .. } => {
                if [min, max, default].into_iter().flatten().any(|bound| !bound.is_finite()) {
                    return invalid(at("min"), "bounds must be finite");
                }
                if min.zip(*max).is_some_and(|(min, max)| min > max) {
                    return invalid(at("min"), "must not be above `max`");
                }
                match default {
                    Some(default) => match self.filled(Some(&serde_json::json!(default))) {
                        Ok(_) => Ok(()),
                        Err(why) => invalid(at("default"), why.to_string()),
                    },
                    None if self.required => Ok(()),
                    None => invalid(at("default"), "an optional number needs one"),
                }
            }
            VariableKind::Choice { options, default } => {
                if !(1..=OPTIONS_MAX).contains(&options.len()) {
                    return invalid(at("options"), format!("must be 1 to {OPTIONS_MAX} options"));
                }
                options
                    .iter()
                    .try_for_each(|option| line(&at("options"), option, 1, OPTION_CHARACTERS_MAX))?;
                match default {
                    Some(default) if !options.contains(default) => {
                        invalid(at("default"), "must be one of the options")
                    }
                    Some(_) | None => Ok(()),
                }
            }
            VariableKind::Boolean { .. } => Ok(()),
            VariableKind::File { kind, role } => match (task, kind, role) {
                (Task::Chat, _, None) => Ok(()),
                (Task::Chat, _, Some(_)) => invalid(at("role"), "a chat's file has none"),
                (_, FileKind::Document, _) => invalid(at("kind"), "media take images and sound"),
                (_, _, None) => invalid(at("role"), "an input of media needs one"),
                (_, _, Some(role)) => line(&at("role"), role, 1, WORD_CHARACTERS_MAX),
            },
        }
    }
}

impl Settings {
    fn check(&self, task: Task) -> Result<(), InvalidTemplate> {
        let at = |name: &str| format!("settings.{name}");
        let of_media = [
            ("count", self.count.is_some()),
            ("size", self.size.is_some()),
            ("aspect_ratio", self.aspect_ratio.is_some()),
            ("duration_ms", self.duration_ms.is_some()),
            ("quality", self.quality.is_some()),
            ("format", self.format.is_some()),
            ("background", self.background.is_some()),
        ];
        let of_chat = [
            ("max_output_tokens", self.max_output_tokens.is_some()),
            ("temperature", self.temperature.is_some()),
            ("top_p", self.top_p.is_some()),
        ];
        let (foreign, whose) = match task {
            Task::Chat => (&of_media[..], "media"),
            _ => (&of_chat[..], "a chat"),
        };
        if let Some((name, _)) = foreign.iter().find(|(_, is_set)| *is_set) {
            return invalid(at(name), format!("is a setting of {whose}"));
        }
        if self.count.is_some_and(|count| !(1..=COUNT_MAX).contains(&count)) {
            return invalid(at("count"), format!("must be from 1 to {COUNT_MAX}"));
        }
        let words = [
            ("size", &self.size),
            ("aspect_ratio", &self.aspect_ratio),
            ("quality", &self.quality),
            ("format", &self.format),
            ("background", &self.background),
        ];
        for (name, word) in words {
            let Some(word) = word else { continue };
            line(&at(name), word, 1, SETTING_BYTES_MAX)?;
        }
        if self.max_output_tokens == Some(0) {
            return invalid(at("max_output_tokens"), "must be at least 1");
        }
        for (name, value, most) in [("temperature", self.temperature, 2.0), ("top_p", self.top_p, 1.0)] {
            if value.is_some_and(|value| !(0.0..=most).contains(&value)) {
                return invalid(at(name), format!("must be from 0 to {most}"));
            }
        }
        Ok(())
    }
}

/// A text on one line.
fn line(param: &str, text: &str, min: usize, max: usize) -> Result<(), InvalidTemplate> {
    let length = text.trim().chars().count();
    if !(min..=max).contains(&length) || length != text.chars().count() || text.chars().any(char::is_control)
    {
        return invalid(
            param,
            format!("must be {min} to {max} characters on one line, without spaces at its ends"),
        );
    }
    Ok(())
}

/// A text that may have lines.
fn prose(param: &str, text: &str, max: usize) -> Result<(), InvalidTemplate> {
    let is_allowed = |c: char| !c.is_control() || matches!(c, '\n' | '\t');
    if text.chars().count() > max || !text.chars().all(is_allowed) {
        return invalid(param, format!("must be at most {max} characters without control characters"));
    }
    Ok(())
}
