//! Sound formats: the contract's word, the provider's `output_format`, and the media type.

use atelier_plugin_sdk::Failure;

/// The provider's format for a word, and the media type of an answer that does not name its own.
///
/// `wanted` is an exact format of the provider's, such as `mp3_44100_192`; it has to be of the same kind.
pub fn of<'f>(word: &str, wanted: Option<&'f str>) -> Result<(&'f str, &'static str), Failure> {
    let (default, media_type) = match word {
        "mp3" => ("mp3_44100_128", "audio/mpeg"),
        // 24 kHz, 16 bit, little-endian, one channel, no header.
        "pcm" => ("pcm_24000", "audio/pcm"),
        "opus" => ("opus_48000_64", "audio/ogg"),
        _ => {
            let message = ["this provider speaks mp3, opus and pcm, not ", word].concat();
            return Err(Failure::unsupported(message).with_param("format"));
        }
    };
    let Some(wanted) = wanted else { return Ok((default, media_type)) };
    if wanted.split('_').next() != Some(word) {
        let message = ["the output format ", wanted, " is no ", word].concat();
        return Err(Failure::invalid("options.output_format", message));
    }
    Ok((wanted, media_type))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_has_its_name() {
        assert_eq!(of("mp3", None).unwrap(), ("mp3_44100_128", "audio/mpeg"));
        assert_eq!(of("pcm", None).unwrap(), ("pcm_24000", "audio/pcm"));
        assert_eq!(of("opus", None).unwrap(), ("opus_48000_64", "audio/ogg"));
        assert_eq!(of("pcm", Some("pcm_16000")).unwrap(), ("pcm_16000", "audio/pcm"));
    }

    #[test]
    fn other_formats_are_refused_and_the_known_ones_named() {
        for word in ["wav", "flac", "aac"] {
            let failure = of(word, None).unwrap_err();
            assert_eq!((failure.code.as_str(), failure.param.as_deref()), ("unsupported", Some("format")));
            assert!(failure.message.contains("mp3, opus and pcm"), "{}", failure.message);
        }
        assert_eq!(of("mp3", Some("pcm_16000")).unwrap_err().param.as_deref(), Some("options.output_format"));
    }
}
