//! Provider-specific options against the schema that their model publishes (M-4).

use atelier_domain::generation::Json;
use jsonschema::Validator;
use serde_json::Value;

use crate::ServiceError;

/// A model's options schema, compiled.
#[derive(Debug)]
pub enum OptionsSchema {
    /// The model has no options.
    None,
    /// Compiled; with whether the empty object fits, so that most calls check nothing, and the names of its options.
    Compiled { validator: Box<Validator>, empty_fits: bool, names: Vec<String> },
    /// The provider published something that is no schema.
    Broken(String),
}

impl OptionsSchema {
    /// Compiles a JSON Schema (2020-12).
    pub fn compile(schema: Option<&Value>) -> Self {
        let Some(schema) = schema else { return Self::None };
        match jsonschema::options().with_draft(jsonschema::Draft::Draft202012).build(schema) {
            Ok(validator) => {
                let empty_fits = validator.is_valid(&Value::Object(serde_json::Map::new()));
                let names = schema.get("properties").and_then(Value::as_object);
                let names = names.map(|members| members.keys().cloned().collect()).unwrap_or_default();
                Self::Compiled { validator: Box::new(validator), empty_fits, names }
            }
            Err(error) => Self::Broken(error.to_string()),
        }
    }

    /// Whether the schema names an option.
    pub fn names(&self, option: &str) -> bool {
        match self {
            Self::Compiled { names, .. } => names.iter().any(|name| name == option),
            Self::None | Self::Broken(_) => false,
        }
    }

    /// Checks a request's options.
    ///
    /// # Errors
    /// The path of the first option that does not fit, and why.
    pub fn check(&self, options: &Json) -> Result<(), ServiceError> {
        let is_empty = options.get() == "{}";
        let invalid = |param: String, message: String| Err(ServiceError::Invalid { param, message });
        match self {
            Self::None | Self::Broken(_) if is_empty => Ok(()),
            Self::Compiled { empty_fits: true, .. } if is_empty => Ok(()),
            Self::None => match parsed(options)?.keys().next() {
                Some(name) => {
                    invalid(name.clone(), "this model has no such option; it has no options".to_owned())
                }
                None => Ok(()),
            },
            Self::Broken(why) => {
                invalid("options".to_owned(), format!("this model's options cannot be checked: {why}"))
            }
            Self::Compiled { validator, .. } => {
                let value = Value::Object(parsed(options)?);
                match validator.iter_errors(&value).next() {
                    None => Ok(()),
                    Some(error) => invalid(dotted(error.instance_path().as_str()), error.to_string()),
                }
            }
        }
    }
}

fn parsed(options: &Json) -> Result<serde_json::Map<String, Value>, ServiceError> {
    serde_json::from_str(options.get()).map_err(|_| ServiceError::Invalid {
        param: "options".to_owned(),
        message: "the options must be a JSON object".to_owned(),
    })
}

/// A JSON Pointer (RFC 6901) as the dotted path that API errors use.
fn dotted(pointer: &str) -> String {
    let path: Vec<_> =
        pointer.split('/').skip(1).map(|part| part.replace("~1", "/").replace("~0", "~")).collect();
    if path.is_empty() { "options".to_owned() } else { path.join(".") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn options(value: Value) -> Json {
        serde_json::value::to_raw_value(&value).expect("JSON")
    }

    #[test]
    fn a_bad_option_is_named_by_its_path() {
        let schema = json!({"type": "object", "additionalProperties": false,
            "properties": {"style": {"type": "object", "properties": {"strength": {"type": "number"}}}}});
        let schema = OptionsSchema::compile(Some(&schema));
        let refused = schema.check(&options(json!({"style": {"strength": "high"}})));
        assert!(
            matches!(&refused, Err(ServiceError::Invalid { param, .. }) if param == "style.strength"),
            "{refused:?}"
        );
        assert!(schema.check(&options(json!({"other": 1}))).is_err());
        assert!(schema.check(&options(json!({"style": {"strength": 0.5}}))).is_ok());
    }

    #[test]
    fn a_model_without_options_takes_none() {
        let schema = OptionsSchema::compile(None);
        assert!(schema.check(&options(json!({}))).is_ok());
        let refused = schema.check(&options(json!({"logit_bias": {}})));
        assert!(
            matches!(&refused, Err(ServiceError::Invalid { param, .. }) if param == "logit_bias"),
            "{refused:?}"
        );
    }
}
