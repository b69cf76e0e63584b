//! The in-house models that are published: fetched by hash on first use.

use atelier_inference::weights::{self, Source};

/// What an in-house model does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelKind {
    /// A GGUF file of the llama family.
    Chat,
    /// A folder as sentence-transformers has it, of the BERT family.
    Embedding,
    /// A folder as CTranslate2 has it, of the Whisper family.
    Transcription,
    /// A folder with `voice.onnx` and `voice.onnx.json`, of Piper's voices.
    Speech,
    /// A folder with `model.param` and `model.bin`, of the Real-ESRGAN family.
    Upscaling,
    /// A checkpoint of PyTorch, of the DCGAN family.
    Image,
    /// An ONNX file of the graph of `multistyle26`.
    Style,
}

impl ModelKind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Chat,
        Self::Embedding,
        Self::Transcription,
        Self::Speech,
        Self::Upscaling,
        Self::Image,
        Self::Style,
    ];

    /// As the configuration writes it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Embedding => "embedding",
            Self::Transcription => "transcription",
            Self::Speech => "speech",
            Self::Upscaling => "upscaling",
            Self::Image => "image",
            Self::Style => "style",
        }
    }
}

/// A published model.
pub struct Published {
    /// Within the instance.
    pub id: &'static str,
    pub name: &'static str,
    pub description: &'static str,
    pub kind: ModelKind,
    pub source: Source,
    /// Tokens of one input, where the model reads tokens.
    pub context_tokens: Option<u64>,
}

/// All of them.
pub const PUBLISHED: [Published; 8] = [
    Published {
        id: "smollm2-135m-instruct",
        name: "SmolLM2 135M Instruct",
        description: "A small English text model that runs on this machine's CPU.",
        kind: ModelKind::Chat,
        source: weights::SMOLLM2_135M_INSTRUCT,
        context_tokens: Some(8192),
    },
    Published {
        id: "all-minilm-l6-v2",
        name: "all-MiniLM-L6-v2",
        description: "A small English sentence encoder that runs on this machine's CPU: vectors of 384 numbers, of length 1.",
        kind: ModelKind::Embedding,
        source: weights::ALL_MINILM_L6_V2,
        context_tokens: Some(256),
    },
    Published {
        id: "whisper-tiny.en",
        name: "Whisper tiny.en",
        description: "A small recogniser of English speech that runs on this machine's CPU, with times of segments and words.",
        kind: ModelKind::Transcription,
        source: weights::WHISPER_TINY_EN,
        context_tokens: None,
    },
    Published {
        id: "piper-joe",
        name: "Piper en_US joe (medium)",
        description: "An American English voice that runs on this machine's CPU, at 22,050 samples a second. Needs eSpeak NG on this machine.",
        kind: ModelKind::Speech,
        source: weights::PIPER_EN_US_JOE_MEDIUM,
        context_tokens: None,
    },
    Published {
        id: "realesr-animevideov3-x2",
        name: "Real-ESRGAN animevideov3 (x2)",
        description: "Makes drawings and frames twice as large on this machine's CPU, fast and with clean lines.",
        kind: ModelKind::Upscaling,
        source: weights::REALESR_ANIMEVIDEOV3_X2,
        context_tokens: None,
    },
    Published {
        id: "realesrgan-x4plus",
        name: "Real-ESRGAN x4plus",
        description: "Makes photographs four times as large on this machine's CPU: slow for large ones, a minute or more.",
        kind: ModelKind::Upscaling,
        source: weights::REALESRGAN_X4PLUS,
        context_tokens: None,
    },
    Published {
        id: "dcgan-faces",
        name: "DCGAN faces",
        description: "Draws faces of 64 by 64 pixels out of random numbers on this machine's CPU. It understands no words: a prompt changes nothing, a seed does.",
        kind: ModelKind::Image,
        source: weights::GAN_FACE,
        context_tokens: None,
    },
    Published {
        id: "multistyle26",
        name: "Multistyle 26",
        description: "Repaints pictures in 26 styles and mixes of them on this machine's CPU. The option style is the number of one, 0 to 25; so is a prompt.",
        kind: ModelKind::Style,
        source: weights::STYLE_MULTISTYLE26,
        context_tokens: None,
    },
];
