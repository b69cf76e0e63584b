//! A prompt made ready, and filled in: bounded in time, depth and size, out of reach of files and of other templates.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use atelier_domain::template::{Template, Value};
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, ErrorKind, UndefinedBehavior};

use super::language::{self, Mistake};

/// Instructions of one rendering.
const FUEL_MAX: u64 = 20_000;
const DEPTH_MAX: usize = 64;
/// Bytes of a prompt that was filled in.
const PROMPT_BYTES_MAX: usize = 256 * 1024;
const NAME: &str = "prompt";

/// Why a prompt could not be filled in. Nothing of the prompt is in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PromptFault {
    #[error("it ran for too long: a loop of it is too large or has no end")]
    Endless,
    #[error("it became longer than {max} bytes")]
    TooLong { max: usize },
    #[error("its model does not take its options any more")]
    Misfit,
    #[error("it does not work with these values")]
    Broken,
}

/// A prompt that was checked.
#[derive(Debug)]
pub(super) struct Prompt {
    environment: Environment<'static>,
    named: BTreeSet<String>,
}

impl Prompt {
    /// Makes a prompt ready that may name these variables and, as `text`, the caller's own words.
    pub(super) fn compile(source: &str, variables: &[&str]) -> Result<Self, Mistake> {
        if source.len() > Template::SOURCE_BYTES_MAX {
            let message =
                format!("it has {} bytes; at most {} are taken", source.len(), Template::SOURCE_BYTES_MAX);
            return Err(Mistake { line: 1, message });
        }
        let syntax = syntax()?;
        let declared: BTreeSet<&str> = variables.iter().copied().chain([Template::TEXT]).collect();
        let named = language::check(source, &syntax, &declared)?;
        let mut environment = Environment::empty();
        environment.set_syntax(syntax);
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL_MAX));
        environment.set_recursion_limit(DEPTH_MAX);
        // An error would quote the prompt.
        environment.set_debug(false);
        environment.add_filter("upper", minijinja::filters::upper);
        environment.add_filter("lower", minijinja::filters::lower);
        environment.add_filter("trim", minijinja::filters::trim);
        environment.add_filter("title", minijinja::filters::title);
        environment.add_filter("capitalize", minijinja::filters::capitalize);
        environment.add_filter("length", minijinja::filters::length);
        environment.add_filter("default", minijinja::filters::default);
        environment.add_function("range", minijinja::functions::range);
        environment.add_template_owned(NAME, source.to_owned()).map_err(|error| Mistake {
            line: error.line().unwrap_or(1),
            message: error.detail().map_or_else(|| error.kind().to_string(), str::to_owned),
        })?;
        Ok(Self { environment, named })
    }

    /// Whether it names the caller's own words.
    pub(super) fn names_text(&self) -> bool {
        self.named.contains(Template::TEXT)
    }

    /// Fills it in. What is filled in is data: it is put out as it is, and never rendered.
    pub(super) fn render(&self, values: &[(&str, Value)], text: &str) -> Result<String, PromptFault> {
        let filled = values.iter().map(|(name, value)| ((*name).to_owned(), engine_value(value)));
        let text = (Template::TEXT.to_owned(), minijinja::Value::from(text));
        let values: BTreeMap<String, minijinja::Value> = filled.chain([text]).collect();
        let template = self.environment.get_template(NAME).map_err(|_| PromptFault::Broken)?;
        let mut out = Bounded { bytes: Vec::new(), is_full: false };
        match template.render_captured_to(minijinja::Value::from(values), &mut out) {
            Ok(_) => String::from_utf8(out.bytes).map_err(|_| PromptFault::Broken),
            Err(_) if out.is_full => Err(PromptFault::TooLong { max: PROMPT_BYTES_MAX }),
            Err(error) if error.kind() == ErrorKind::OutOfFuel => Err(PromptFault::Endless),
            Err(_) => Err(PromptFault::Broken),
        }
    }
}

/// Control lines leave no blank lines behind.
fn syntax() -> Result<SyntaxConfig, Mistake> {
    let built = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    built.map_err(|error| Mistake { line: 1, message: error.to_string() })
}

fn engine_value(value: &Value) -> minijinja::Value {
    const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::Text(text) => minijinja::Value::from(text.as_str()),
        // Whole numbers are written without a point.
        Value::Number(number) if number.fract() == 0.0 && number.abs() <= WHOLE_MAX => {
            minijinja::Value::from(*number as i64)
        }
        Value::Number(number) => minijinja::Value::from(*number),
        Value::Boolean(is) | Value::File(is) => minijinja::Value::from(*is),
    }
}

/// Takes so many bytes and no more.
struct Bounded {
    bytes: Vec<u8>,
    is_full: bool,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > PROMPT_BYTES_MAX {
            self.is_full = true;
            return Err(io::Error::other("the prompt is too long"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
