//! `speech`: sound in the form that was asked for.

use atelier_domain::generation::speech::SpeechEvent;

use super::chat::metered;
use super::subject::{Answer, Subject};
use super::{Suite, told};
use crate::bench::Testimony;
use crate::upstream::Fault;

const ABOUT: &str = "speech";

impl Suite<'_> {
    pub(super) async fn speech(&mut self, total: &mut Testimony) -> anyhow::Result<()> {
        for (index, case) in self.cases.speech.clone().into_iter().enumerate() {
            let subject = Subject::Speech(case.clone());
            let rig = self.bench.rig(Fault::None).await?;
            let called = subject.call(&rig).await;
            let (charges, unknown) = (rig.charges.count(), self.end(&rig, total));
            let how = case.format.as_str();
            let expected = format!("its media type, then {how}, then usage");
            let outcome = match (unknown.first(), &called) {
                (Some(unknown), _) => Err(format!("no recorded exchange for {unknown}")),
                (None, Err(error)) => Err(told(error)),
                (None, Ok(Answer::Speech(events))) => spoken(how, events),
                (None, Ok(_)) => Err("no speech".to_owned()),
            };
            let good = outcome.is_ok();
            self.verdict(ABOUT, &format!("{how}: the text is spoken"), &expected, outcome);
            let found = format!("{charges} announced");
            self.row(
                ABOUT,
                &format!("{how}: its request is charging"),
                "1 charging request",
                charges == 1,
                found,
            );
            if let (0, true, Ok(answer)) = (index, good, called) {
                self.faults(ABOUT, how, &subject, &answer.content(), total).await?;
            }
        }
        Ok(())
    }
}

fn spoken(format: &str, events: &[SpeechEvent]) -> Result<String, String> {
    let [SpeechEvent::Started(media_type), sound @ .., SpeechEvent::Finished(usage)] = events else {
        return Err(format!(
            "{} events that do not begin with the media type and end with usage",
            events.len()
        ));
    };
    let mut bytes = Vec::new();
    for event in sound {
        match event {
            SpeechEvent::Audio(piece) => bytes.extend_from_slice(piece),
            SpeechEvent::Started(_) | SpeechEvent::Finished(_) => {
                return Err("a second start or end".to_owned());
            }
        }
    }
    if !media_types(format).iter().any(|known| media_type.starts_with(known)) {
        return Err(format!("the media type {media_type}"));
    }
    if bytes.is_empty() || !looks_like(format, &bytes) {
        return Err(format!("{} bytes that are no {format}", bytes.len()));
    }
    if usage.iter().all(|line| line.quantity == 0) {
        return Err("no usage".to_owned());
    }
    Ok(format!("{media_type}, {} bytes, {}", bytes.len(), metered(usage)))
}

/// How the media types of a format begin.
fn media_types(format: &str) -> &'static [&'static str] {
    match format {
        "mp3" => &["audio/mpeg", "audio/mp3"],
        "wav" => &["audio/wav", "audio/x-wav", "audio/vnd.wave", "audio/wave"],
        "opus" => &["audio/opus", "audio/ogg"],
        "flac" => &["audio/flac", "audio/x-flac"],
        "aac" => &["audio/aac", "audio/mp4", "audio/x-aac"],
        "pcm" => &["audio/pcm", "audio/L16", "audio/l16", "audio/basic"],
        _ => &["audio/"],
    }
}

/// Whether bytes begin as files of a format do; raw samples begin with anything.
fn looks_like(format: &str, bytes: &[u8]) -> bool {
    let frame = |mask: u8, sync: u8| bytes.len() > 1 && bytes[0] == 0xff && bytes[1] & mask == sync;
    match format {
        "mp3" => bytes.starts_with(b"ID3") || frame(0xe0, 0xe0),
        "wav" => bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WAVE"),
        "opus" => bytes.starts_with(b"OggS"),
        "flac" => bytes.starts_with(b"fLaC"),
        "aac" => frame(0xf6, 0xf0) || bytes.get(4..8) == Some(b"ftyp"),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use atelier_domain::generation::usage::UsageLine;
    use bytes::Bytes;

    #[test]
    fn sound_must_be_what_was_asked_for() {
        let events = |kind: &str, bytes: &'static [u8]| {
            let usage = vec![UsageLine::new("characters", 13)];
            let audio = SpeechEvent::Audio(Bytes::from_static(bytes));
            vec![SpeechEvent::Started(kind.to_owned()), audio, SpeechEvent::Finished(usage)]
        };
        assert!(spoken("mp3", &events("audio/mpeg", &[0xff, 0xfb, 0x90])).is_ok());
        assert!(spoken("wav", &events("audio/wav", b"RIFF\0\0\0\0WAVE")).is_ok());
        assert!(spoken("mp3", &events("audio/wav", &[0xff, 0xfb, 0x90])).is_err(), "another media type");
        assert!(spoken("mp3", &events("audio/mpeg", b"RIFF\0\0\0\0WAVE")).is_err(), "another format");
        assert!(spoken("mp3", &events("audio/mpeg", &[0xff, 0xfb])[..2]).is_err(), "no end");
    }
}
