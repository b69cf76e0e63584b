//! The rows.

use super::Family::*;
use super::*;

const CACHED: &[(&str, &str)] = &[("cached", "true")];
const AUDIO: &[(&str, &str)] = &[("modality", "audio")];
const IMAGE: &[(&str, &str)] = &[("modality", "image")];

/// Token prices in thousandths of a dollar per million.
macro_rules! tokens {
    ($input:literal, $cached:literal, $output:literal) => {
        &[
            Rate(INPUT_TOKENS, &[], $input * 1_000),
            Rate(INPUT_TOKENS, CACHED, $cached * 1_000),
            Rate(OUTPUT_TOKENS, &[], $output * 1_000),
        ]
    };
}

const fn row(
    id: &'static str,
    name: &'static str,
    family: Family,
    (context_tokens, output_tokens): (u64, u64),
    prices: &'static [Rate],
) -> Row {
    Row { id, name, family, context_tokens, output_tokens, prices, status: Status::Available }
}

const fn deprecated(row: Row) -> Row {
    Row { status: Status::Deprecated, ..row }
}

pub(super) static TABLE: &[Row] = &[
    row("gpt-5.1", "GPT-5.1", Reasoning, (400_000, 128_000), tokens!(1_250, 125, 10_000)),
    row("gpt-5", "GPT-5", Reasoning, (400_000, 128_000), tokens!(1_250, 125, 10_000)),
    row("gpt-5-mini", "GPT-5 mini", Reasoning, (400_000, 128_000), tokens!(250, 25, 2_000)),
    row("gpt-5-nano", "GPT-5 nano", Reasoning, (400_000, 128_000), tokens!(50, 5, 400)),
    row("gpt-5-chat-latest", "GPT-5 Chat", Chat, (128_000, 16_384), tokens!(1_250, 125, 10_000)),
    row("gpt-4.1", "GPT-4.1", TunableChat, (1_047_576, 32_768), tokens!(2_000, 500, 8_000)),
    row("gpt-4.1-mini", "GPT-4.1 mini", TunableChat, (1_047_576, 32_768), tokens!(400, 100, 1_600)),
    row("gpt-4.1-nano", "GPT-4.1 nano", TunableChat, (1_047_576, 32_768), tokens!(100, 25, 400)),
    row("gpt-4o", "GPT-4o", TunableChat, (128_000, 16_384), tokens!(2_500, 1_250, 10_000)),
    row("gpt-4o-mini", "GPT-4o mini", TunableChat, (128_000, 16_384), tokens!(150, 75, 600)),
    row("gpt-4o-audio-preview", "GPT-4o Audio", AudioChat, (128_000, 16_384), &[]),
    row("gpt-audio", "GPT Audio", AudioChat, (128_000, 16_384), &[]),
    row("o4-mini", "o4-mini", Reasoning, (200_000, 100_000), tokens!(1_100, 275, 4_400)),
    row("o3", "o3", Reasoning, (200_000, 100_000), tokens!(2_000, 500, 8_000)),
    row("o3-mini", "o3-mini", TextReasoning, (200_000, 100_000), tokens!(1_100, 550, 4_400)),
    row("o1", "o1", Reasoning, (200_000, 100_000), tokens!(15_000, 7_500, 60_000)),
    row(
        "text-embedding-3-small",
        "Text Embedding 3 small",
        Embedding,
        (8_192, 0),
        &[Rate(INPUT_TOKENS, &[], 20_000)],
    ),
    row(
        "text-embedding-3-large",
        "Text Embedding 3 large",
        Embedding,
        (8_192, 0),
        &[Rate(INPUT_TOKENS, &[], 130_000)],
    ),
    row(
        "text-embedding-ada-002",
        "Text Embedding Ada 002",
        Embedding,
        (8_192, 0),
        &[Rate(INPUT_TOKENS, &[], 100_000)],
    ),
    row("omni-moderation-latest", "Omni Moderation", Moderation, (0, 0), &[Rate(REQUESTS, &[], 0)]),
    row("tts-1", "TTS-1", Speech, (0, 0), &[Rate(CHARACTERS, &[], 15_000_000)]),
    row("tts-1-hd", "TTS-1 HD", Speech, (0, 0), &[Rate(CHARACTERS, &[], 30_000_000)]),
    row("gpt-4o-mini-tts", "GPT-4o mini TTS", DirectedSpeech, (2_000, 0), &[]),
    // 0.006 dollars a minute.
    row("whisper-1", "Whisper", Whisper, (0, 0), &[Rate(AUDIO_MS, &[], 100_000)]),
    row(
        "gpt-4o-transcribe",
        "GPT-4o Transcribe",
        Transcription,
        (16_000, 2_000),
        &[
            Rate(INPUT_TOKENS, &[], 2_500_000),
            Rate(INPUT_TOKENS, AUDIO, 6_000_000),
            Rate(OUTPUT_TOKENS, &[], 10_000_000),
        ],
    ),
    row(
        "gpt-4o-mini-transcribe",
        "GPT-4o mini Transcribe",
        Transcription,
        (16_000, 2_000),
        &[
            Rate(INPUT_TOKENS, &[], 1_250_000),
            Rate(INPUT_TOKENS, AUDIO, 3_000_000),
            Rate(OUTPUT_TOKENS, &[], 5_000_000),
        ],
    ),
    row(
        "gpt-image-1",
        "GPT Image 1",
        Image,
        (0, 0),
        &[
            Rate(INPUT_TOKENS, &[], 5_000_000),
            Rate(INPUT_TOKENS, IMAGE, 10_000_000),
            Rate(OUTPUT_TOKENS, IMAGE, 40_000_000),
        ],
    ),
    row(
        "gpt-image-1-mini",
        "GPT Image 1 mini",
        Image,
        (0, 0),
        &[
            Rate(INPUT_TOKENS, &[], 2_000_000),
            Rate(INPUT_TOKENS, IMAGE, 2_500_000),
            Rate(OUTPUT_TOKENS, IMAGE, 8_000_000),
        ],
    ),
    deprecated(row("dall-e-3", "DALL·E 3", DallE3, (0, 0), &[])),
    deprecated(row("dall-e-2", "DALL·E 2", DallE2, (0, 0), &[])),
    // 0.10 dollars a second.
    row("sora-2", "Sora 2", Video, (0, 0), &[Rate(VIDEO_MS, &[], 100_000_000)]),
    row(
        "sora-2-pro",
        "Sora 2 Pro",
        Video,
        (0, 0),
        &[
            Rate(VIDEO_MS, &[("resolution", "720p")], 300_000_000),
            Rate(VIDEO_MS, &[("resolution", "1024p")], 500_000_000),
        ],
    ),
];
