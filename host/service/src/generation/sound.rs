//! How long a recording is, where its head tells for certain: uncompressed sound in a RIFF file (Multimedia Programming Interface
//! and Data Specifications 1.0). Other formats' heads tell what their makers please.

use atelier_domain::blob::Blob;

/// The head is looked for within so many bytes, and chunks.
const HEAD_BYTES_MAX: usize = 4096;
const CHUNKS_MAX: usize = 16;
/// `wFormatTag`: whole numbers, floating-point numbers, and either with a longer head.
const UNCOMPRESSED: [u16; 3] = [1, 3, 0xfffe];

/// The length of a recording in milliseconds, begun ones counted; `None` where that is not certain, or where it would take a disk to know.
pub(super) fn length_ms(sound: &Blob) -> Option<u64> {
    if !sound.is_in_memory() {
        return None;
    }
    let head = sound.read(0, HEAD_BYTES_MAX).ok()?;
    if head.get(..4)? != b"RIFF" || head.get(8..12)? != b"WAVE" {
        return None;
    }
    let (mut at, mut bytes_per_second) = (12usize, None);
    for _ in 0..CHUNKS_MAX {
        let size = u32::from_le_bytes(*head.get(at + 4..)?.first_chunk()?);
        let content = at + 8;
        match head.get(at..at + 4)? {
            b"fmt " => bytes_per_second = Some(rate(head.get(content..)?)?),
            b"data" => {
                // A recording that was piped says that it is as long as can be.
                let bytes = u64::from(size).min(sound.size.saturating_sub(content as u64));
                return Some((bytes * 1000).div_ceil(bytes_per_second?));
            }
            _ => {}
        }
        at = content.checked_add(usize::try_from(size).ok()?.checked_next_multiple_of(2)?)?;
    }
    None
}

/// Bytes of a second, by how many samples of which size there are in it.
fn rate(format: &[u8]) -> Option<u64> {
    let word = |at: usize| Some(u16::from_le_bytes(*format.get(at..)?.first_chunk()?));
    let (tag, channels, bits) = (word(0)?, word(2)?, word(14)?);
    let samples = u32::from_le_bytes(*format.get(4..)?.first_chunk()?);
    let rate = u64::from(samples) * u64::from(channels) * u64::from(bits / 8);
    (UNCOMPRESSED.contains(&tag) && rate > 0).then_some(rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(tag: u16, samples: u32, said: u32, data: &[u8], before: &[u8]) -> Blob {
        let mut file = b"RIFF\xff\xff\xff\xffWAVE".to_vec();
        file.extend_from_slice(before);
        file.extend_from_slice(b"fmt \x10\0\0\0");
        file.extend_from_slice(
            &[&tag.to_le_bytes()[..], &2u16.to_le_bytes(), &samples.to_le_bytes()].concat(),
        );
        file.extend_from_slice(&[&[0; 4][..], &4u16.to_le_bytes(), &16u16.to_le_bytes()].concat());
        file.extend_from_slice(&[b"data", &said.to_le_bytes()[..], data].concat());
        Blob::in_memory("audio/wav", file.into())
    }

    #[test]
    fn uncompressed_sound_is_as_long_as_its_samples() {
        let data = vec![0; 48_000 * 4 / 2];
        assert_eq!(length_ms(&wave(1, 48_000, data.len() as u32, &data, b"")), Some(500));
        assert_eq!(length_ms(&wave(1, 48_000, u32::MAX, &data, b"")), Some(500), "as it was piped");
        assert_eq!(length_ms(&wave(1, 48_000, 1, &data, b"LIST\x03\0\0\0abc\0")), Some(1), "a begun one");
        for (tag, samples) in [(0x55, 48_000), (1, 0)] {
            assert_eq!(length_ms(&wave(tag, samples, 1, &data, b"")), None, "{tag}, {samples}");
        }
    }

    #[test]
    fn what_is_no_such_file_or_ends_early_is_of_unknown_length() {
        let whole = wave(1, 48_000, 4, &[0; 4], b"");
        let bytes = whole.read(0, 1024).expect("in memory");
        for cut in 0..bytes.len() - 4 {
            assert_eq!(length_ms(&Blob::in_memory("audio/wav", bytes.slice(..cut))), None, "{cut}");
        }
        let endless = [&b"RIFF\0\0\0\0WAVE"[..], &b"abcd\0\0\0\0".repeat(400)].concat();
        for other in [endless, b"RIFF\0\0\0\0WAVEabcd\xff\xff\xff\xff".to_vec(), b"OggS".to_vec()] {
            assert_eq!(length_ms(&Blob::in_memory("audio/wav", other.into())), None);
        }
    }
}
