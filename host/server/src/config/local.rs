//! `[local]` and `[[local.model]]`: models that run on this machine.

use std::path::{Path, PathBuf};

use atelier_domain::plugin::SecretValue;
use atelier_inference::Card;
use atelier_inference::weights::{Pulled, PulledFile};
use figment::value::Value;
use url::Url;

use super::reader::Section;
use super::secret::SecretSource;
use crate::local::{ModelKind, PUBLISHED};

/// Models of the operator's own.
const MODELS_MAX: usize = 64;
/// Files of one.
const FILES_MAX: usize = 64;
const NAME_CHARACTERS_MAX: usize = 64;
/// What CTranslate2 keeps a model's weights in.
const VARIABLES: &str = "model.bin";
/// A voice of Piper's.
const VOICE: &str = "voice.onnx";
/// How a model writes that has a folder of safetensors.
const WRITING: &str = "generation_config.json";
/// The layers of a network as ncnn has them.
const LAYERS: &str = "model.param";
/// How checkpoints of PyTorch are named.
const CHECKPOINTS: [&str; 3] = ["pt", "pth", "tar"];
/// Where repositories lie whose address is not said.
const HUB: &str = "https://huggingface.co";
/// In `PATH`.
const ESPEAK: &str = "espeak-ng";

/// In-house models.
#[derive(Clone, Debug)]
pub struct Local {
    pub enabled: bool,
    /// Where fetched weights lie; absent: `ATELIER_CACHE`, or the user's cache folder.
    pub cache: Option<PathBuf>,
    /// Memory for each model and its requests.
    pub memory_bytes_max: u64,
    /// Memory for all models and their requests together.
    pub memory_total_bytes: u64,
    /// Whether chat models run on a card, and on which.
    pub card: Card,
    /// Bytes of the card's memory for all of them together.
    pub card_bytes_max: u64,
    /// Of a chat model's memory, what may keep the beginnings of prompts for later ones; 0 for none.
    pub prefix_bytes_max: u64,
    /// Requests of a model that advance in turn.
    pub concurrent_max: usize,
    /// Requests of a model that wait.
    pub queued_max: usize,
    /// eSpeak NG, which voices need: its path, or its name in `PATH`.
    pub espeak: PathBuf,
    /// What the hub is asked with, and nobody else; absent for what is open to all.
    pub hub_token: Option<SecretValue>,
    /// The operator's own.
    pub models: Vec<OwnModel>,
}

/// A model of the operator's own.
#[derive(Clone, Debug)]
pub struct OwnModel {
    /// Listed as `local/NAME`.
    pub name: String,
    pub kind: ModelKind,
    pub weights: OwnWeights,
    /// Where it may take another amount of memory than the others.
    pub memory_bytes_max: Option<u64>,
    /// Of a voice, the SHA-256 of its graph where that is not the known one but the operator trusts it.
    pub graph_sha256: Option<String>,
    /// What a request is answered with that does not say.
    pub temperature: f32,
    pub top_p: f32,
}

/// Where a model's weights are.
#[derive(Clone, Debug)]
pub enum OwnWeights {
    /// On this machine.
    Path(PathBuf),
    /// Fetched by `atelier model pull`.
    Remote(Remote),
}

/// Weights that are fetched.
#[derive(Clone, Debug)]
pub struct Remote {
    /// What the files' names are put behind; ends with `/`.
    pub base: Url,
    /// It is a hub's, which is told the token.
    pub is_hub: bool,
    pub files: Pulled,
}

impl Local {
    pub(super) fn read(section: &mut Section, folder: &Path) -> Self {
        let memory_mib = section.number("memory_mib", 2048, 64..=1_048_576);
        // Two models at once, unless the operator says otherwise.
        let total_mib = section.number("memory_total_mib", 2 * memory_mib, 64..=2_097_152);
        let hub = section.text("hub").unwrap_or_else(|| HUB.to_owned());
        let hub = address(&hub).unwrap_or_else(|what| {
            section.wrong("hub", what);
            address(HUB).expect("our own address is one")
        });
        let models = section.sections("model", |section| OwnModel::read(section, folder, &hub));
        for (i, model) in models.iter().enumerate() {
            let earlier = models[..i].iter().map(|model| model.name.as_str());
            if earlier.chain(PUBLISHED.iter().map(|model| model.id)).any(|name| name == model.name) {
                section.wrong(&format!("model[{i}].name"), "is taken already; choose another");
            }
        }
        if models.len() > MODELS_MAX {
            section.wrong("model", format!("has more than {MODELS_MAX} models"));
        }
        Self {
            enabled: section.flag("enabled", true),
            cache: section.text("cache").map(|path| folder.join(path)),
            memory_bytes_max: memory_mib << 20,
            memory_total_bytes: total_mib << 20,
            card: section.value("card", card).unwrap_or(Card::IfFits(0)),
            card_bytes_max: section
                .optional_number("card_memory_mib", 64..=16_777_216)
                .map_or(u64::MAX, |mib| mib << 20),
            prefix_bytes_max: section.number("prefix_mib", 512, 0..=1_048_576) << 20,
            concurrent_max: section.number("concurrent", 4, 1..=256) as usize,
            queued_max: section.number("queued", 32, 0..=65_536) as usize,
            espeak: section
                .text("espeak")
                .map_or_else(|| PathBuf::from(ESPEAK), |path| program(&path, folder)),
            hub_token: section.value("hub_token", |value| SecretSource::of(value)?.read(folder)),
            models,
        }
    }
}

impl OwnModel {
    fn read(section: &mut Section, folder: &Path, hub: &Url) -> Option<Self> {
        let name = section.text("name").filter(|name| is_name(name));
        if name.is_none() {
            let what =
                format!("must have 1 to {NAME_CHARACTERS_MAX} letters, digits, dots, hyphens or underscores");
            section.wrong("name", what);
        }
        let memory = section.optional_number("memory_mib", 64..=2_097_152);
        let temperature = section.value("temperature", |value| number(value, 2.0)).unwrap_or(0.8);
        let top_p = section.value("top_p", |value| number(value, 1.0)).unwrap_or(0.95);
        let graph_sha256 =
            section.value("graph_sha256", |value| digest_of(value.as_str().unwrap_or_default()));
        let weights = OwnWeights::read(section, name.as_deref().unwrap_or("model"), folder, hub);
        let kind = match section.text("kind") {
            None => weights.as_ref().map(OwnWeights::kind),
            Some(word) => {
                let kind = ModelKind::ALL.into_iter().find(|kind| kind.word() == word);
                if kind.is_none() {
                    let words = ModelKind::ALL.map(|kind| format!("{:?}", kind.word())).join(" or ");
                    section.wrong("kind", format!("must be {words}"));
                }
                kind
            }
        };
        if graph_sha256.is_some() && kind.is_some_and(|kind| kind != ModelKind::Speech) {
            section.wrong("graph_sha256", "is for voices alone: what other files ask for is bounded");
        }
        Some(Self {
            name: name?,
            kind: kind?,
            weights: weights?,
            memory_bytes_max: memory.map(|mib| mib << 20),
            graph_sha256,
            temperature,
            top_p,
        })
    }
}

impl OwnWeights {
    fn read(section: &mut Section, name: &str, folder: &Path, hub: &Url) -> Option<Self> {
        let path = section.text("path");
        let repository = section.text("hub");
        let url = section.text("url");
        let revision = section.text("revision");
        let file = section.text("file");
        let digest = section.text("sha256");
        let mut files = section.map("files", |value| digest_of(value.as_str().unwrap_or_default()));
        if let Some(path) = path {
            let others = [&repository, &url, &revision, &file, &digest];
            if others.into_iter().any(Option::is_some) || !files.is_empty() {
                section.wrong("path", "stands alone: weights that are on this machine are not fetched");
            }
            return Some(Self::Path(folder.join(path)));
        }
        match (file, digest.as_deref().map(digest_of)) {
            (Some(file), Some(Ok(digest))) => files.push((file, digest)),
            (None, None) => {}
            (_, Some(Err(what))) => section.wrong("sha256", what),
            _ => section.wrong("file", "goes with sha256, which its content must have"),
        }
        let base = match (repository, url) {
            (Some(repository), None) => Some(repository_in(hub, &repository, revision.as_deref())),
            (None, Some(url)) => Some(address(&url)),
            _ => {
                section
                    .wrong("path", "say where the weights are: path, or hub = \"OWNER/REPOSITORY\", or url");
                None
            }
        };
        let is_hub =
            base.as_ref().is_some_and(|base| base.as_ref().is_ok_and(|base| base.origin() == hub.origin()));
        let base = match base? {
            Ok(base) => base,
            Err(what) => {
                section.wrong(if is_hub { "hub" } else { "url" }, what);
                return None;
            }
        };
        if files.is_empty() || files.len() > FILES_MAX {
            section.wrong(
                "files",
                format!(
                    "must name 1 to {FILES_MAX} files with the SHA-256 of each: {{ \"model.safetensors\" = \"…\" }}, or say \
                     file and sha256"
                ),
            );
        }
        if let Some((bad, _)) = files.iter().find(|(name, _)| !is_path(name)) {
            section.wrong(&format!("files.{bad}"), "must be a path within the repository, without . and ..");
            return None;
        }
        let files = files.into_iter().map(|(name, sha256)| PulledFile { name, sha256 }).collect();
        Some(Self::Remote(Remote { base, is_hub, files: Pulled { name: name.to_owned(), files } }))
    }

    /// By what the weights are: one GGUF file, or by a file of the folder.
    fn kind(&self) -> ModelKind {
        let has = |file: &str| match self {
            Self::Path(path) => path.join(file).is_file(),
            Self::Remote(remote) => remote.files.files.iter().any(|kept| kept.name == file),
        };
        let is = |extension: &str| match self {
            Self::Path(path) => path.extension().is_some_and(|found| found == extension),
            Self::Remote(remote) => {
                let found = |file: &PulledFile| {
                    Path::new(&file.name).extension().is_some_and(|found| found == extension)
                };
                remote.files.files.iter().any(found)
            }
        };
        if is("gguf") || has(WRITING) {
            ModelKind::Chat
        } else if CHECKPOINTS.into_iter().any(is) {
            ModelKind::Image
        } else if is("onnx") && !has(VOICE) {
            ModelKind::Style
        } else if has(LAYERS) {
            ModelKind::Upscaling
        } else if has(VARIABLES) {
            ModelKind::Transcription
        } else if has(VOICE) {
            ModelKind::Speech
        } else {
            ModelKind::Embedding
        }
    }
}

/// Which card, if any.
fn card(value: &Value) -> Result<Card, String> {
    let ordinal = value.to_u128().or_else(|| value.to_i128().and_then(|number| number.try_into().ok()));
    match (value.as_str(), ordinal) {
        (Some("auto"), _) => Ok(Card::IfFits(0)),
        (Some("off"), _) => Ok(Card::Never),
        (_, Some(ordinal @ 0..=63)) => Ok(Card::Always(ordinal as usize)),
        _ => Err("must be \"auto\", \"off\" or a card's number, from 0 to 63".to_owned()),
    }
}

/// A program by its name, or by a path that may be relative to the configuration's folder.
fn program(text: &str, folder: &Path) -> PathBuf {
    if text.contains('/') { folder.join(text) } else { PathBuf::from(text) }
}

/// An address whose end is a folder.
fn address(text: &str) -> Result<Url, String> {
    const FORM: &str = "must be an http(s) address, such as https://models.example.com/llama/";
    let mut url = Url::parse(text).map_err(|_| FORM)?;
    let is_good = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if !is_good {
        return Err(FORM.to_owned());
    }
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Ok(url)
}

/// `HUB/OWNER/REPOSITORY/resolve/REVISION/`, as the hub of Hugging Face has it.
fn repository_in(hub: &Url, repository: &str, revision: Option<&str>) -> Result<Url, String> {
    const FORM: &str = "must be OWNER/REPOSITORY, and revision a branch, tag or commit";
    let revision = revision.unwrap_or("main");
    let parts: Vec<&str> = repository.split('/').collect();
    if parts.len() != 2 || parts.iter().chain([&revision]).any(|part| !is_name(part)) {
        return Err(FORM.to_owned());
    }
    hub.join(&format!("{repository}/resolve/{revision}/")).map_err(|_| FORM.to_owned())
}

fn digest_of(text: &str) -> Result<String, String> {
    let text = text.to_ascii_lowercase();
    let is_digest = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_digest { Ok(text) } else { Err("must be a SHA-256: 64 hexadecimal digits".to_owned()) }
}

fn is_name(text: &str) -> bool {
    (1..=NAME_CHARACTERS_MAX).contains(&text.len())
        && !text.starts_with('.')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
}

fn is_path(text: &str) -> bool {
    text.len() <= 256 && text.split('/').all(is_name)
}

fn number(value: &Value, max: f64) -> Result<f32, String> {
    let number = value.to_f64().or_else(|| value.to_i128().map(|number| number as f64));
    let number = number.or_else(|| value.to_u128().map(|number| number as f64));
    number
        .filter(|number| (0.0..=max).contains(number))
        .map(|number| number as f32)
        .ok_or_else(|| format!("must be from 0 to {max}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use figment::Figment;
    use figment::providers::{Format as _, Toml};

    const DIGEST: &str = "B179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";

    fn read(text: &str) -> (Local, Vec<String>) {
        let values = Figment::from(Toml::string(text)).extract().expect("TOML");
        let mut root = Section::root(values);
        let local = root.section("local", |section| Local::read(section, Path::new("/etc/atelier")));
        (local, root.finish().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn weights_are_on_this_machine_on_a_hub_or_at_an_address() {
        let text = format!(
            "[local]\nhub = \"http://127.0.0.1:9\"\n[[local.model]]\nname = \"a\"\npath = \"a.gguf\"\n\
             [[local.model]]\nname = \"b\"\nhub = \"them/b\"\nfile = \"b.gguf\"\nsha256 = \"{DIGEST}\"\n\
             [[local.model]]\nname = \"c\"\nurl = \"https://x.example/c\"\nfiles = {{ \"config.json\" = \"{DIGEST}\" }}\n"
        );
        let (local, mistakes) = read(&text);
        assert!(mistakes.is_empty(), "{mistakes:?}");
        let [a, b, c] = &local.models[..] else { panic!("{local:?}") };
        assert!(matches!(&a.weights, OwnWeights::Path(path) if path == Path::new("/etc/atelier/a.gguf")));
        assert_eq!([a.kind, b.kind, c.kind], [ModelKind::Chat, ModelKind::Chat, ModelKind::Embedding]);
        let OwnWeights::Remote(remote) = &b.weights else { panic!("{b:?}") };
        assert_eq!(remote.base.as_str(), "http://127.0.0.1:9/them/b/resolve/main/");
        assert_eq!((remote.is_hub, &remote.files.files[0].sha256), (true, &DIGEST.to_ascii_lowercase()));
        let OwnWeights::Remote(remote) = &c.weights else { panic!("{c:?}") };
        assert_eq!((remote.base.as_str(), remote.is_hub), ("https://x.example/c/", false));
    }

    #[test]
    fn a_folder_of_safetensors_is_a_chat_model_where_it_says_how_it_writes() {
        let model = |files: &str| {
            let text = format!("[[local.model]]\nname = \"a\"\nhub = \"them/a\"\nfiles = {{ {files} }}\n");
            let (local, mistakes) = read(&text);
            assert!(mistakes.is_empty(), "{mistakes:?}");
            local.models[0].kind
        };
        let weights = format!("\"model.safetensors\" = \"{DIGEST}\", \"config.json\" = \"{DIGEST}\"");
        assert_eq!(model(&weights), ModelKind::Embedding);
        assert_eq!(model(&format!("{weights}, \"generation_config.json\" = \"{DIGEST}\"")), ModelKind::Chat);
    }

    #[test]
    fn chat_models_run_on_a_card_where_there_is_one_unless_the_operator_says_otherwise() {
        let card = |text: &str| {
            let (local, mistakes) = read(&format!("[local]\n{text}\n"));
            (local.card, local.card_bytes_max, mistakes.len())
        };
        assert_eq!(card(""), (Card::IfFits(0), u64::MAX, 0));
        assert_eq!(card("card = \"off\""), (Card::Never, u64::MAX, 0));
        assert_eq!(card("card = 2\ncard_memory_mib = 4096"), (Card::Always(2), 4 << 30, 0));
        for wrong in ["card = \"second\"", "card = 64", "card = -1", "card_memory_mib = 1"] {
            assert_eq!(card(wrong).2, 1, "{wrong}");
        }
    }

    #[test]
    fn mistakes_are_named_with_what_to_do() {
        let good = format!("url = \"https://x.example\"\nfile = \"a.gguf\"\nsha256 = \"{DIGEST}\"");
        for (model, word) in [
            ("path = \"a.gguf\"".to_owned(), "name: must have"),
            (format!("name = \"..\"\n{good}"), "name: must have"),
            (format!("name = \"{}\"\n{good}", PUBLISHED[0].id), "taken already"),
            ("name = \"a\"".to_owned(), "say where the weights are"),
            ("name = \"a\"\npath = \"a\"\nurl = \"https://x.example\"".to_owned(), "stands alone"),
            ("name = \"a\"\nurl = \"https://x.example\"".to_owned(), "must name 1 to 64 files"),
            ("name = \"a\"\nurl = \"https://x.example\"\nfile = \"a.gguf\"".to_owned(), "goes with sha256"),
            ("name = \"a\"\nurl = \"ftp://x.example\"".to_owned(), "http(s) address"),
            ("name = \"a\"\nurl = \"https://me:pw@x.example\"".to_owned(), "http(s) address"),
            ("name = \"a\"\nhub = \"one\"".to_owned(), "OWNER/REPOSITORY"),
            ("name = \"a\"\nhub = \"../x\"".to_owned(), "OWNER/REPOSITORY"),
            (
                format!("name = \"a\"\nurl = \"https://x.example\"\nfile = \"../a\"\nsha256 = \"{DIGEST}\""),
                "without . and ..",
            ),
            (good.replace("sha256 = \"B", "sha256 = \"x"), "64 hexadecimal digits"),
            (format!("name = \"a\"\nkind = \"film\"\n{good}"), "\"transcription\" or \"speech\""),
            (format!("name = \"a\"\ntemperature = 3\n{good}"), "from 0 to 2"),
            (format!("name = \"a\"\ngraph_sha256 = \"{DIGEST}\"\n{good}"), "for voices alone"),
            (
                format!("name = \"a\"\nkind = \"speech\"\ngraph_sha256 = \"1\"\n{good}"),
                "64 hexadecimal digits",
            ),
        ] {
            let (_, mistakes) = read(&format!("[[local.model]]\n{model}\n"));
            assert!(mistakes.iter().any(|mistake| mistake.contains(word)), "{model}: {mistakes:?}");
        }
    }
}
