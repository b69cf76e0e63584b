//! `atelier plugin new`: a complete small plugin, cut to the capabilities that its author wants.
//!
//! The template is a plugin of its own, `plugin-sdk/template`, which has all of them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};

/// A capability of the template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Capability {
    /// As on the command line; also its module and its files.
    name: &'static str,
    /// The trait that is exported.
    export: &'static str,
    /// The task of its model in the catalogue.
    task: &'static str,
    /// The model's name for people.
    title: &'static str,
}

const fn capability(
    name: &'static str,
    export: &'static str,
    task: &'static str,
    title: &'static str,
) -> Capability {
    Capability { name, export, task, title }
}

static CAPABILITIES: [Capability; 6] = [
    capability("chat", "Chat", "chat", "Acme Chat"),
    capability("embedding", "Embedding", "embedding", "Acme Embedding"),
    capability("media", "MediaJobs", "image-generation", "Acme Media"),
    capability("moderation", "Moderation", "moderation", "Acme Moderation"),
    capability("speech", "Speech", "speech", "Acme Speech"),
    capability("transcription", "Transcription", "transcription", "Acme Transcription"),
];

macro_rules! files {
    ($($path:literal),* $(,)?) => {
        [$(($path, include_str!(concat!("../../../plugin-sdk/template/", $path)))),*]
    };
}

/// All of the template. A file named after a capability goes with it.
const FILES: [(&str, &str); 22] = files![
    ".gitignore",
    "Cargo.toml",
    "README.md",
    "manifest.toml",
    "src/lib.rs",
    "src/catalog.rs",
    "src/chat.rs",
    "src/embedding.rs",
    "src/media.rs",
    "src/moderation.rs",
    "src/speech.rs",
    "src/transcription.rs",
    "tests/conformance.toml",
    "tests/exchanges/catalog.json",
    "tests/exchanges/chat.json",
    "tests/exchanges/embedding.json",
    "tests/exchanges/media.json",
    "tests/exchanges/model.json",
    "tests/exchanges/moderation.json",
    "tests/exchanges/speech.json",
    "tests/exchanges/transcription.json",
    "tests/README.md",
];

/// Where the SDK comes from: it is in no package registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sdk {
    /// The crate's folder.
    Path(PathBuf),
    /// A git repository with the crate in it.
    Git(String),
}

impl Sdk {
    /// Reads `PATH` or a git URL.
    ///
    /// # Errors
    /// A path at which there is no SDK.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        if text.contains("://") || text.starts_with("git@") {
            return Ok(Self::Git(text.to_owned()));
        }
        let folder = fs::canonicalize(text).with_context(|| format!("--sdk: there is no folder {text}"))?;
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
        ensure!(
            manifest.contains("name = \"atelier-plugin-sdk\""),
            "--sdk: {} is not the crate atelier-plugin-sdk (the folder plugin-sdk of Atelier's sources)",
            folder.display()
        );
        Ok(Self::Path(folder))
    }

    /// The SDK in the sources that this program was built from, if they are still there.
    ///
    /// # Errors
    /// They are not.
    pub fn beside_this_program() -> anyhow::Result<Self> {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugin-sdk");
        Self::parse(&sources.to_string_lossy()).ok().context(
            "the SDK is in no package registry, and the sources that this program was built from are not on this machine: \
             say where it is with --sdk, a path to the folder plugin-sdk of Atelier's sources or the URL of their git repository",
        )
    }

    fn dependency(&self) -> String {
        match self {
            Self::Path(path) => format!("{{ path = {:?} }}", path.display().to_string()),
            Self::Git(url) => format!("{{ git = {url:?} }}"),
        }
    }
}

/// A plugin to be written.
#[derive(Clone, Debug)]
pub struct NewPlugin {
    /// `publisher/name`
    pub id: String,
    /// Names of capabilities beside `catalog`.
    pub capabilities: Vec<String>,
    pub sdk: Sdk,
}

impl NewPlugin {
    /// Writes it into `dir`, which must be empty or not there yet; gives the files.
    ///
    /// # Errors
    /// The id or a capability is wrong, or a file cannot be written.
    pub fn write(&self, dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
        let files = self.files()?;
        if dir.exists() {
            let mut entries = fs::read_dir(dir).with_context(|| format!("{} is no folder", dir.display()))?;
            ensure!(entries.next().is_none(), "{} is not empty: name a new folder", dir.display());
        }
        let mut written = Vec::new();
        for (name, text) in files {
            let path = dir.join(name);
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
            }
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
            written.push(path);
        }
        Ok(written)
    }

    fn files(&self) -> anyhow::Result<Vec<(&'static str, String)>> {
        let name = self.name()?;
        let chosen = self.chosen()?;
        let dropped: Vec<_> = CAPABILITIES.iter().filter(|known| !chosen.contains(known)).collect();
        let goes = |path: &str| {
            let stem = Path::new(path).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            !dropped.iter().any(|capability| capability.name == stem)
        };
        let files = FILES.into_iter().filter(|(path, _)| goes(path)).map(|(path, text)| {
            let text = match path {
                "src/lib.rs" | "src/catalog.rs" => without_lines(text, &dropped),
                "tests/conformance.toml" => without_sections(text, &dropped),
                _ => text.to_owned(),
            };
            (path, self.named(path, &text, name, chosen[0]))
        });
        Ok(files.collect())
    }

    /// The part of the id after the slash.
    fn name(&self) -> anyhow::Result<&str> {
        let slug = |text: &str| {
            (1..=63).contains(&text.len())
                && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
                && text.starts_with(|first: char| first.is_ascii_lowercase())
        };
        match self.id.split_once('/') {
            Some((publisher, name)) if slug(publisher) && slug(name) => Ok(name),
            _ => bail!(
                "--id must read publisher/name in lower-case letters, digits and hyphens, not {:?}",
                self.id
            ),
        }
    }

    fn chosen(&self) -> anyhow::Result<Vec<Capability>> {
        let known = || CAPABILITIES.map(|capability| capability.name).join(", ");
        let mut chosen = Vec::new();
        for name in self.capabilities.iter().filter(|name| *name != "catalog") {
            let found = CAPABILITIES.into_iter().find(|capability| capability.name == name);
            let capability = found.with_context(|| {
                let more = match name.as_str() {
                    "training" => "; trainings are jobs like those of `media`: begin with that",
                    "webhook" => "; add it by hand, with the provider's own signature scheme in the manifest",
                    _ => "",
                };
                format!("the template has no capability {name:?}: it has {}{more}", known())
            })?;
            if !chosen.contains(&capability) {
                chosen.push(capability);
            }
        }
        ensure!(!chosen.is_empty(), "--capabilities needs one of {} at least", known());
        Ok(chosen)
    }

    /// The template's own names replaced by the author's. The provider itself stays Acme until there is another.
    fn named(&self, path: &str, text: &str, name: &str, first: Capability) -> String {
        match path {
            "Cargo.toml" => text
                .replace("name = \"acme\"", &format!("name = {name:?}"))
                .replace("{ path = \"../../plugin-sdk\" }", &self.sdk.dependency()),
            "manifest.toml" => text
                .replace("id = \"example/acme\"", &format!("id = {:?}", self.id))
                .replace("name = \"Acme\"", &format!("name = {name:?}")),
            "README.md" => text
                .replace("# Acme\n", &format!("# {name}\n"))
                .replace("acme-0.1.0", &format!("{name}-0.1.0")),
            "tests/conformance.toml" | "tests/exchanges/model.json" => text
                .replace("known-model = \"acme-chat\"", &format!("known-model = \"acme-{}\"", first.name))
                .replace("/v1/models/acme-chat", &format!("/v1/models/acme-{}", first.name))
                .replace("\"id\": \"acme-chat\"", &format!("\"id\": \"acme-{}\"", first.name))
                .replace("\"Acme Chat\"", &format!("{:?}", first.title))
                .replace("[\"chat\"]", &format!("[{:?}]", first.task)),
            _ => text.to_owned(),
        }
    }
}

/// Without the lines that declare, export or list a dropped capability.
fn without_lines(text: &str, dropped: &[&Capability]) -> String {
    let stays = |line: &&str| {
        let line = line.trim();
        !dropped.iter().any(|capability| {
            line == format!("mod {};", capability.name)
                || line == format!("{},", capability.export)
                || line.contains(&format!("{:?}", capability.task))
        })
    };
    text.split_inclusive('\n').filter(stays).collect()
}

/// Without the `[[sections]]` of dropped capabilities.
fn without_sections(text: &str, dropped: &[&Capability]) -> String {
    let mut kept = String::new();
    let mut skip = false;
    for line in text.split_inclusive('\n') {
        if let Some(name) = line.trim().strip_prefix("[[").and_then(|rest| rest.strip_suffix("]]")) {
            skip = dropped.iter().any(|capability| capability.name == name);
        }
        if !skip {
            kept.push_str(line);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::Cases;
    use crate::exchange::Exchange;

    fn plugin(capabilities: &[&str]) -> NewPlugin {
        let capabilities = capabilities.iter().map(|name| (*name).to_owned()).collect();
        let sdk = Sdk::Git("https://example.com/atelier.git".to_owned());
        NewPlugin { id: "acme-labs/tiny".to_owned(), capabilities, sdk }
    }

    #[test]
    fn what_is_not_chosen_leaves_no_trace() {
        let files = plugin(&["speech"]).files().expect("a good choice");
        let text = |path: &str| &files.iter().find(|(known, _)| *known == path).expect("written").1;
        assert!(!files.iter().any(|(path, _)| path.contains("chat")), "{files:?}");
        let lib = text("src/lib.rs");
        assert!(lib.contains("mod speech;") && lib.contains("Speech,") && !lib.contains("Chat"), "{lib}");
        assert!(!text("src/catalog.rs").contains("acme-chat"));
        let cases: Cases = toml::from_str(text("tests/conformance.toml")).expect("TOML");
        assert_eq!((cases.known_model.as_deref(), cases.chat.len()), (Some("acme-speech"), 0));
        assert!(text("Cargo.toml").contains("{ git = \"https://example.com/atelier.git\" }"));
        assert!(text("manifest.toml").contains("id = \"acme-labs/tiny\""));
        for (path, json) in files.iter().filter(|(path, _)| path.ends_with(".json")) {
            let exchanges: Result<Vec<Exchange>, _> = serde_json::from_str(json);
            assert!(exchanges.is_ok(), "{path}: {exchanges:?}");
        }
    }

    #[test]
    fn bad_ids_capabilities_and_full_folders_are_refused_with_what_to_do() {
        let told = |plugin: NewPlugin| plugin.files().expect_err("refused").to_string();
        assert!(told(plugin(&["chat", "music"])).contains("chat, embedding, media"));
        assert!(told(plugin(&[])).contains("--capabilities"));
        assert!(told(NewPlugin { id: "Tiny".to_owned(), ..plugin(&["chat"]) }).contains("publisher/name"));
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("mine"), "").expect("written");
        assert!(plugin(&["chat"]).write(folder.path()).is_err());
    }

    #[test]
    fn every_file_of_the_template_is_written() {
        fn count(dir: &Path) -> usize {
            let entries =
                fs::read_dir(dir).expect("the template").map(|entry| entry.expect("an entry").path());
            let entries = entries.filter(|path| !path.ends_with("target") && !path.ends_with("Cargo.lock"));
            entries.map(|path| if path.is_dir() { count(&path) } else { 1 }).sum()
        }
        let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugin-sdk/template");
        assert_eq!(count(&template), FILES.len());
    }
}
