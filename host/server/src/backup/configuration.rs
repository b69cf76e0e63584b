//! The configuration as a backup holds it: for the folder that it is restored into, and without secrets unless they are wanted.

use std::io;

use toml_edit::{DocumentMut, InlineTable, Item, TableLike, TomlError, Value, table, value};

use super::DATA;

/// What holds a secret outside an instance's `secrets`: the mail server's, beside the DSN of `[errors]`.
const PASSWORD: &str = "password";

/// The text with its data folder where a restore puts it. Secrets that stand in it are replaced by names of environment variables, unless
/// they are wanted.
///
/// # Errors
/// It is no TOML, or no configuration.
pub fn to_restore(text: &str, with_secrets: bool) -> io::Result<String> {
    let malformed = |why: String| io::Error::new(io::ErrorKind::InvalidData, why);
    // The line with the mistake may hold a secret.
    let mut document: DocumentMut =
        text.parse().map_err(|error: TomlError| malformed(error.message().to_owned()))?;
    let storage = document.entry("storage").or_insert_with(table).as_table_like_mut();
    storage.ok_or_else(|| malformed("storage is no table".to_owned()))?.insert("path", value(DATA));
    if !with_secrets {
        walk(document.as_table_mut(), "", false);
    }
    Ok(document.to_string())
}

fn walk(table: &mut dyn TableLike, name: &str, are_secrets: bool) {
    let name = match table.get("name").and_then(Item::as_str) {
        Some(own) => own.to_owned(),
        None => name.to_owned(),
    };
    for (key, item) in table.iter_mut() {
        let key = key.get().to_owned();
        let is_value = |item: &Item| item.as_table_like().is_some_and(|source| source.contains_key("value"));
        let is_secret = are_secrets || key == PASSWORD || (name == "errors" && key == "dsn");
        if is_secret && is_value(item) {
            let mut source = InlineTable::new();
            source.insert("env", variable(&name, &key).into());
            *item = Item::Value(Value::InlineTable(source));
            continue;
        }
        // Where a table has no name of its own, its key tells it from others.
        let name = if name.is_empty() { &key } else { &name };
        descend(item, name, key == "secrets" || (name == "traces" && key == "headers"));
    }
}

fn descend(item: &mut Item, name: &str, are_secrets: bool) {
    if let Some(tables) = item.as_array_of_tables_mut() {
        tables.iter_mut().for_each(|table| walk(table, name, are_secrets));
    } else if let Some(array) = item.as_array_mut() {
        for value in array.iter_mut() {
            if let Some(table) = value.as_inline_table_mut() {
                walk(table, name, are_secrets);
            }
        }
    } else if let Some(table) = item.as_table_like_mut() {
        walk(table, name, are_secrets);
    }
}

/// The environment variable that a secret is read from after a restore.
fn variable(instance: &str, secret: &str) -> String {
    let shout = |text: &str| -> String {
        text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
    };
    format!("{}_{}", shout(instance), shout(secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# ours\n[storage]\npath = \"/srv/atelier\" # here\n\n[[instance]]\nname = \"my-ai\"\n\
         secrets = { api-key = { value = \"s3cret-1\" }, other = { env = \"OTHER\" } }\n\n\
         [[instance]]\nname = \"b\"\n[instance.secrets]\ntoken = { value = \"s3cret-2\" }\n\
         [instance.settings]\nvalue = \"kept\"\n\n\
         [mail]\npassword = { value = \"s3cret-3\" }\n\n\
         [secrets]\nkey = { value = \"s3cret-5\" }\n\n\
         [traces]\nheaders = { x-key = { value = \"s3cret-4\" } }\n\n\
         [errors]\ndsn = { value = \"https://s3cret-6@sentry.example.com/42\" }\n";

    #[test]
    fn secrets_stay_out_and_the_rest_stays() {
        let text = to_restore(TEXT, false).expect("well-formed");
        assert!(!text.contains("s3cret"), "{text}");
        for kept in [
            "# ours",
            "path = \"data\"",
            "env = \"MY_AI_API_KEY\"",
            "env = \"B_TOKEN\"",
            "env = \"MAIL_PASSWORD\"",
            "env = \"TRACES_X_KEY\"",
            "env = \"SECRETS_KEY\"",
            "env = \"ERRORS_DSN\"",
            "OTHER",
            "value = \"kept\"",
        ] {
            assert!(text.contains(kept), "{kept} in {text}");
        }
        let inline = "instance = [{ name = \"c\", secrets = { key = { value = \"s3cret\" } } }]";
        assert!(!to_restore(inline, false).expect("well-formed").contains("s3cret"));
    }

    #[test]
    fn what_is_no_configuration_is_refused_without_what_it_says() {
        assert!(to_restore("storage = 1", false).is_err());
        let why =
            to_restore("secrets = { key = { value = \"s3cret\" }", false).expect_err("a brace is missing");
        assert!(!why.to_string().contains("s3cret"), "{why}");
    }

    #[test]
    fn secrets_that_are_wanted_are_there() {
        let text = to_restore(TEXT, true).expect("well-formed");
        assert!(text.contains("s3cret-1") && text.contains("s3cret-2") && !text.contains("/srv"), "{text}");
    }
}
