//! The codecs. A body is coded once and served often, so they may take a little longer than a stream would allow.

use std::io::{self, Write as _};

use bytes::Bytes;

use super::Coding;

pub(super) const GZIP_LEVEL: u32 = 6;
pub(super) const BROTLI_QUALITY: u32 = 5;
pub(super) const BUFFER: usize = 64 << 10;
pub(super) const ZSTD_LEVEL: i32 = 6;

/// log2 of the window for a body of so many bytes: 4 MiB at most, which every browser takes, and no more than it needs.
pub(super) fn brotli_window(length: u64) -> u32 {
    (u64::BITS - length.leading_zeros()).clamp(16, 22)
}

/// Codes a body that is in pieces; none if that does not make it smaller.
///
/// # Errors
/// What the codec says; it has no reason to.
pub fn encode(pieces: &[Bytes], coding: Coding) -> io::Result<Option<Bytes>> {
    let plain: usize = pieces.iter().map(Bytes::len).sum();
    let out = Vec::with_capacity(plain / 3);
    let mut coded = match coding {
        Coding::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(out, flate2::Compression::new(GZIP_LEVEL));
            pieces.iter().try_for_each(|piece| encoder.write_all(piece))?;
            encoder.finish()?
        }
        Coding::Brotli => {
            let mut encoder = brotli::CompressorWriter::new(out, BUFFER, BROTLI_QUALITY, brotli_window(plain as u64));
            pieces.iter().try_for_each(|piece| encoder.write_all(piece))?;
            encoder.into_inner()
        }
        Coding::Zstd => {
            let mut encoder = zstd::Encoder::new(out, ZSTD_LEVEL)?;
            // RFC 8878, 3.1.1.1.2: lets the receiver take what it needs at once. Larger windows than 8 MB are refused.
            encoder.set_pledged_src_size(Some(plain as u64))?;
            pieces.iter().try_for_each(|piece| encoder.write_all(piece))?;
            encoder.finish()?
        }
    };
    if coded.len() >= plain {
        return Ok(None);
    }
    // It is kept as long as the object is.
    coded.shrink_to_fit();
    Ok(Some(Bytes::from(coded)))
}
