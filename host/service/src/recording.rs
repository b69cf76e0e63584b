//! Recordings, decoded packet by packet: of a long one, a packet at a time is in memory beside its bytes.

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};

use atelier_domain::blob::Blob;
use symphonia::core::audio::SampleBuffer;
use symphonia::core::codecs::{Decoder, DecoderOptions};
use symphonia::core::errors::Error;
use symphonia::core::formats::{FormatOptions, FormatReader};
use symphonia::core::io::{MediaSource, MediaSourceStream};
use symphonia::core::meta::MetadataOptions;
use symphonia::core::probe::Hint;

/// Broken packets that are left out.
const BROKEN_MAX: u32 = 64;
const CHANNELS_MAX: usize = 32;
/// Samples of a second that sound may have.
const RATES: std::ops::RangeInclusive<u32> = 1_000..=768_000;

/// Sound that is being decoded. Reading blocks.
pub struct Recording {
    reader: Box<dyn FormatReader>,
    decoder: Box<dyn Decoder>,
    track: u32,
    rate: u32,
    broken: u32,
}

/// Samples of all channels in turn, from -1 to 1.
pub struct Frames {
    /// How many there are of each moment; at least one.
    pub channels: usize,
    samples: SampleBuffer<f32>,
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recording").field("rate", &self.rate).finish_non_exhaustive()
    }
}

impl fmt::Debug for Frames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frames").field("channels", &self.channels).finish_non_exhaustive()
    }
}

impl Frames {
    /// The samples of each moment.
    pub fn moments(&self) -> impl Iterator<Item = &[f32]> {
        self.samples.samples().chunks_exact(self.channels)
    }
}

impl Recording {
    /// WAV, FLAC, MP3, AAC in MPEG-4, Vorbis in Ogg.
    ///
    /// # Errors
    /// What is wrong with it, for whoever sent it.
    pub fn open(source: &Blob) -> Result<Self, String> {
        let mut hint = Hint::new();
        hint.mime_type(&source.content_type);
        let source = Source { blob: source.clone(), at: 0 };
        let stream = MediaSourceStream::new(Box::new(source), Default::default());
        let (format, meta) = (FormatOptions::default(), MetadataOptions::default());
        let reader =
            symphonia::default::get_probe().format(&hint, stream, &format, &meta).map_err(told)?.format;
        let track = reader.default_track().ok_or("it has no sound")?;
        let (track, parameters) = (track.id, track.codec_params.clone());
        let rate = parameters.sample_rate.ok_or("it does not say how many samples a second has")?;
        if !RATES.contains(&rate) {
            return Err(format!("it says that a second has {rate} samples"));
        }
        let decoder =
            symphonia::default::get_codecs().make(&parameters, &DecoderOptions::default()).map_err(told)?;
        Ok(Self { reader, decoder, track, rate, broken: 0 })
    }

    /// Moments of a second.
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// What comes next; none at the end.
    ///
    /// # Errors
    /// As [`Recording::open`].
    pub fn frames(&mut self) -> Result<Option<Frames>, String> {
        loop {
            let packet = match self.reader.next_packet() {
                Ok(packet) => packet,
                Err(Error::IoError(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Ok(None);
                }
                Err(Error::ResetRequired) => return Ok(None),
                Err(error) => return Err(told(error)),
            };
            if packet.track_id() != self.track {
                continue;
            }
            match self.decoder.decode(&packet) {
                Ok(decoded) => {
                    let spec = *decoded.spec();
                    let channels = spec.channels.count();
                    if !(1..=CHANNELS_MAX).contains(&channels) {
                        return Err(format!("it has {channels} channels"));
                    }
                    if spec.rate != self.rate {
                        return Err("a second has more samples in one part of it than in another".to_owned());
                    }
                    let mut samples = SampleBuffer::<f32>::new(decoded.capacity() as u64, spec);
                    samples.copy_interleaved_ref(decoded);
                    return Ok(Some(Frames { channels, samples }));
                }
                Err(Error::DecodeError(_)) if self.broken < BROKEN_MAX => self.broken += 1,
                Err(error) => return Err(told(error)),
            }
        }
    }
}

fn told(error: Error) -> String {
    match error {
        Error::Unsupported(what) => format!("it is of a kind that is not read here ({what})"),
        error => error.to_string(),
    }
}

/// A blob as decoders read it.
struct Source {
    blob: Blob,
    at: u64,
}

impl Read for Source {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let bytes = self.blob.read(self.at, out.len())?;
        out[..bytes.len()].copy_from_slice(&bytes);
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }
}

impl Seek for Source {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let to = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.blob.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = to.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}

impl MediaSource for Source {
    fn is_seekable(&self) -> bool {
        true
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.blob.size)
    }
}
