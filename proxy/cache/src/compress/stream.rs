//! The codecs for a body that is still coming, piece by piece.

use std::io::{self, Write};

use bytes::Bytes;

use super::Coding;
use super::encode::{BROTLI_QUALITY, BUFFER, GZIP_LEVEL, ZSTD_LEVEL, brotli_window};

/// Codes a body as it comes.
pub struct Coder(Codec);

enum Codec {
    Brotli(Box<brotli::CompressorWriter<Vec<u8>>>),
    Gzip(Box<flate2::write::GzEncoder<Vec<u8>>>),
    Zstd(Box<zstd::Encoder<'static, Vec<u8>>>),
}

impl Coder {
    /// A coder for a body of `length` bytes.
    ///
    /// # Errors
    /// What the codec says; it has no reason to.
    pub fn new(coding: Coding, length: u64) -> io::Result<Self> {
        Ok(Self(match coding {
            Coding::Brotli => {
                let window = brotli_window(length);
                Codec::Brotli(Box::new(brotli::CompressorWriter::new(Vec::new(), BUFFER, BROTLI_QUALITY, window)))
            }
            Coding::Gzip => {
                let level = flate2::Compression::new(GZIP_LEVEL);
                Codec::Gzip(Box::new(flate2::write::GzEncoder::new(Vec::new(), level)))
            }
            Coding::Zstd => {
                let mut encoder = zstd::Encoder::new(Vec::new(), ZSTD_LEVEL)?;
                encoder.set_pledged_src_size(Some(length))?;
                Codec::Zstd(Box::new(encoder))
            }
        }))
    }

    /// Codes a piece; gives what has come out so far, which may be nothing.
    ///
    /// # Errors
    /// If the body is longer than was said.
    pub fn write(&mut self, piece: &[u8]) -> io::Result<Bytes> {
        self.writer().write_all(piece)?;
        Ok(self.take())
    }

    /// Gives all of what was written so far, so that the receiver has it before more comes.
    ///
    /// # Errors
    /// What the codec says; it has no reason to.
    pub fn flush(&mut self) -> io::Result<Bytes> {
        self.writer().flush()?;
        Ok(self.take())
    }

    /// Ends the body; gives the rest.
    ///
    /// # Errors
    /// If the body is shorter than was said.
    pub fn finish(self) -> io::Result<Bytes> {
        Ok(Bytes::from(match self.0 {
            Codec::Brotli(encoder) => encoder.into_inner(),
            Codec::Gzip(encoder) => encoder.finish()?,
            Codec::Zstd(encoder) => encoder.finish()?,
        }))
    }

    fn writer(&mut self) -> &mut dyn Write {
        match &mut self.0 {
            Codec::Brotli(encoder) => encoder,
            Codec::Gzip(encoder) => encoder,
            Codec::Zstd(encoder) => encoder,
        }
    }

    fn take(&mut self) -> Bytes {
        Bytes::from(match &mut self.0 {
            Codec::Brotli(encoder) => std::mem::take(encoder.get_mut()),
            Codec::Gzip(encoder) => std::mem::take(encoder.get_mut()),
            Codec::Zstd(encoder) => std::mem::take(encoder.get_mut()),
        })
    }
}
