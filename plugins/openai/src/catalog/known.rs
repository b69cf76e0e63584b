//! What OpenAI's documentation says of its models: <https://platform.openai.com/docs/models> and
//! <https://platform.openai.com/docs/pricing> (standard tier, US dollars). What is not sure is left out.

use atelier_plugin_sdk::catalog::{Limits, Model, Price, Status};
use atelier_plugin_sdk::pair;
use atelier_plugin_sdk::usage::meter::{
    AUDIO_MS, CHARACTERS, INPUT_TOKENS, OUTPUT_TOKENS, REQUESTS, VIDEO_MS,
};

mod table;
use table::TABLE;

/// The provider decides which options it takes.
pub const OPEN_OPTIONS: &str = r#"{"type":"object"}"#;

/// Options that this plugin's own fields do not cover; others are passed on as well.
const CHAT_OPTIONS: &str = r#"{"type":"object","properties":{"service_tier":{"type":"string","description":"Processing tier"},"verbosity":{"enum":["low","medium","high"]},"logit_bias":{"type":"object","additionalProperties":{"type":"number","minimum":-100,"maximum":100}},"prompt_cache_key":{"type":"string"},"store":{"type":"boolean"},"metadata":{"type":"object","additionalProperties":{"type":"string"}},"modalities":{"type":"array","items":{"enum":["text","audio"]}},"audio":{"type":"object"},"prediction":{"type":"object"},"web_search_options":{"type":"object"},"moderation":{"type":"object"}}}"#;

/// A model's row: what all models of a family have in common is in its [`Family`].
struct Row {
    id: &'static str,
    name: &'static str,
    family: Family,
    /// 0: unknown.
    context_tokens: u64,
    output_tokens: u64,
    prices: &'static [Rate],
    status: Status,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    /// Takes images, answers at once.
    Chat,
    /// The same, and can be fine-tuned.
    TunableChat,
    /// Thinks before it answers.
    Reasoning,
    /// Thinks, takes text alone.
    TextReasoning,
    /// Hears.
    AudioChat,
    Embedding,
    Moderation,
    Speech,
    /// Speaks in a manner given in words.
    DirectedSpeech,
    Whisper,
    Transcription,
    Image,
    DallE3,
    DallE2,
    Video,
}

/// A price's meter, what the usage must have for it, and millionths of a dollar per million units.
struct Rate(&'static str, &'static [(&'static str, &'static str)], u64);

/// All rows as models.
pub fn models() -> Vec<Model> {
    TABLE.iter().map(Row::model).collect()
}

/// A model by its id, by that of a dated snapshot, or by that of a fine-tune. Prices are those of the exact id alone: snapshots and
/// fine-tunes may have others.
pub fn find(id: &str) -> Option<Model> {
    if let Some(row) = TABLE.iter().find(|row| row.id == id) {
        return Some(row.model());
    }
    let base = match id.strip_prefix("ft:") {
        Some(tuned) => tuned.split(':').next()?,
        None => id,
    };
    let family = undated(base);
    let row = TABLE.iter().find(|row| row.id == base || row.id == family)?;
    Some(Model { name: id.to_owned(), prices: Vec::new(), ..row.model() })
}

/// An id without its date (`-2024-08-06`).
fn undated(id: &str) -> &str {
    let Some((rest, date)) = id.len().checked_sub(11).and_then(|at| id.split_at_checked(at)) else {
        return id;
    };
    let is_date = date.bytes().enumerate().all(|(place, byte)| match place {
        0 | 5 | 8 => byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    if is_date { rest } else { id }
}

/// The built-in voices of a speech model (<https://platform.openai.com/docs/guides/text-to-speech>).
pub fn voices(model: &str) -> &'static [&'static str] {
    match undated(model) {
        "tts-1" | "tts-1-hd" => {
            &["alloy", "ash", "coral", "echo", "fable", "onyx", "nova", "sage", "shimmer"]
        }
        "gpt-4o-mini-tts" => &[
            "alloy", "ash", "ballad", "cedar", "coral", "echo", "fable", "marin", "nova", "onyx", "sage",
            "shimmer", "verse",
        ],
        _ => &[],
    }
}

pub fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

impl Row {
    fn model(&self) -> Model {
        let known = |count: u64| (count > 0).then_some(count);
        let is_chat = self.family.tasks().first() == Some(&"chat");
        Model {
            id: self.id.to_owned(),
            name: self.name.to_owned(),
            description: None,
            status: self.status,
            tasks: words(self.family.tasks()),
            input_modalities: words(self.family.inputs()),
            features: words(self.family.features()),
            limits: Limits {
                context_tokens: known(self.context_tokens),
                output_tokens: known(self.output_tokens),
                ..self.family.limits()
            },
            options_schema: Some(if is_chat { CHAT_OPTIONS } else { OPEN_OPTIONS }.to_owned()),
            prices: self.prices.iter().map(Rate::price).collect(),
            owner: None,
            created: 0,
        }
    }
}

impl Rate {
    fn price(&self) -> Price {
        Price {
            meter: self.0.to_owned(),
            attributes: self.1.iter().map(|(name, value)| pair(*name, *value)).collect(),
            usd_micros_per_million: self.2,
        }
    }
}

impl Family {
    fn tasks(self) -> &'static [&'static str] {
        match self {
            Self::Chat | Self::Reasoning | Self::TextReasoning | Self::AudioChat => &["chat"],
            Self::TunableChat => &["chat", "training"],
            Self::Embedding => &["embedding"],
            Self::Moderation => &["moderation"],
            Self::Speech | Self::DirectedSpeech => &["speech"],
            Self::Whisper => &["transcription", "translation"],
            Self::Transcription => &["transcription"],
            Self::Image => &["image-generation", "image-edit"],
            Self::DallE3 => &["image-generation"],
            Self::DallE2 => &["image-generation", "image-edit", "image-variation"],
            Self::Video => &["video-generation", "video-remix"],
        }
    }

    fn inputs(self) -> &'static [&'static str] {
        match self {
            Self::Chat | Self::TunableChat | Self::Reasoning => &["image", "file"],
            Self::AudioChat => &["audio"],
            Self::Moderation => &["image"],
            _ => &[],
        }
    }

    fn features(self) -> &'static [&'static str] {
        match self {
            Self::Chat | Self::TunableChat => &["tools", "structured-output", "streaming", "seed"],
            Self::Reasoning | Self::TextReasoning => {
                &["tools", "structured-output", "thinking", "streaming", "seed"]
            }
            Self::AudioChat => &["tools", "streaming"],
            Self::Speech | Self::DirectedSpeech | Self::Transcription => &["streaming"],
            _ => &[],
        }
    }

    fn limits(self) -> Limits {
        const MIB: u64 = 1024 * 1024;
        let none = Limits {
            context_tokens: None,
            output_tokens: None,
            input_characters: None,
            batch: None,
            media_bytes: None,
        };
        match self {
            Self::Embedding => Limits { batch: Some(2048), ..none },
            Self::Speech => Limits { input_characters: Some(4096), ..none },
            Self::Whisper | Self::Transcription => Limits { media_bytes: Some(25 * MIB), ..none },
            Self::Image => Limits {
                input_characters: Some(32_000),
                batch: Some(10),
                media_bytes: Some(50 * MIB),
                ..none
            },
            Self::DallE3 => Limits { input_characters: Some(4000), batch: Some(1), ..none },
            Self::DallE2 => {
                Limits { input_characters: Some(1000), batch: Some(10), media_bytes: Some(4 * MIB), ..none }
            }
            Self::Video => Limits { batch: Some(1), ..none },
            _ => none,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_has_its_family_s_limits_but_not_its_prices() {
        let snapshot = find("gpt-4.1-mini-2025-04-14").unwrap();
        assert_eq!(snapshot.limits.context_tokens, Some(1_047_576));
        assert!(snapshot.prices.is_empty());
        assert!(find("gpt-4o-mini-2024-07-1x").is_none());
        assert!(find("gpt-4o-unheard-of").is_none());
        assert!(find("é-2024-01-01").is_none());
    }

    #[test]
    fn ids_are_unique_and_every_price_is_for_a_metered_quantity() {
        let mut ids: Vec<_> = TABLE.iter().map(|row| row.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), TABLE.len());
        let meters = [INPUT_TOKENS, OUTPUT_TOKENS, AUDIO_MS, CHARACTERS, REQUESTS, VIDEO_MS];
        assert!(TABLE.iter().flat_map(|row| row.prices).all(|rate| meters.contains(&rate.0)));
    }

    #[test]
    fn option_schemas_are_json() {
        for schema in [OPEN_OPTIONS, CHAT_OPTIONS] {
            assert!(serde_json::from_str::<serde_json::Value>(schema).unwrap().is_object());
        }
    }

    #[test]
    fn a_price_is_in_millionths_of_a_dollar_per_million() {
        let model = find("gpt-4o").unwrap();
        let input = model
            .prices
            .iter()
            .find(|price| price.meter == INPUT_TOKENS && price.attributes.is_empty())
            .unwrap();
        assert_eq!(input.usd_micros_per_million, 2_500_000, "2.50 dollars");
    }
}
