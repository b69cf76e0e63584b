//! Rendering a conversation with the Jinja template that the model file carries.

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, Error, ErrorKind, Value, context};

use crate::error::ModelError;
use crate::request::Message;

const TEMPLATE_BYTES_MAX: usize = 64 * 1024;
/// Instructions of the template engine: thousands of messages' worth, and an end to any endless loop.
const FUEL_MAX: u64 = 2_000_000;
const NAME: &str = "chat";

/// A parsed chat template.
#[derive(Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    bos: String,
    eos: String,
}

impl ChatTemplate {
    /// Parse a template; `bos` and `eos` are the texts of the begin and end tokens that it may name.
    ///
    /// # Errors
    /// [`ModelError::Template`] where it is too long or does not parse.
    pub fn parse(source: &str, bos: &str, eos: &str) -> Result<Self, ModelError> {
        if source.len() > TEMPLATE_BYTES_MAX {
            let reason = format!("it has {} bytes; at most {TEMPLATE_BYTES_MAX} are read", source.len());
            return Err(ModelError::Template { reason });
        }
        let mut environment = Environment::new();
        // How the templates' own ecosystem renders them: control lines leave no blank lines behind.
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().map_err(failed)?;
        environment.set_syntax(syntax);
        environment.set_fuel(Some(FUEL_MAX));
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", |reason: String| -> Result<Value, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, reason))
        });
        environment.add_template_owned(NAME, source.to_owned()).map_err(failed)?;
        Ok(Self { environment, bos: bos.to_owned(), eos: eos.to_owned() })
    }

    /// Render the messages and the opening of the assistant's answer.
    ///
    /// # Errors
    /// [`ModelError::Template`] where the template refuses the messages, for example for the order of their roles.
    pub fn render(&self, messages: &[Message]) -> Result<String, ModelError> {
        let messages: Vec<Value> = messages
            .iter()
            .map(|message| context! { role => message.role.as_str(), content => message.text.as_str() })
            .collect();
        let template = self.environment.get_template(NAME).map_err(failed)?;
        template
            .render(context! {
                messages => messages,
                bos_token => &self.bos,
                eos_token => &self.eos,
                add_generation_prompt => true,
            })
            .map_err(failed)
    }
}

fn failed(error: Error) -> ModelError {
    ModelError::Template { reason: error.to_string() }
}
