//! The served files, as prepared by `build.rs`.

use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZFlush};
use web::{Problem, Reply, Request, Stream};

include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// A file, stored compressed only: with a plain copy the wasm would be four times as large.
pub struct File {
    /// The last segment of its URL.
    pub name: &'static str,
    media_type: &'static str,
    /// The entity tag of the plain file.
    tag: &'static str,
    /// The size of the plain file.
    length: usize,
    gzip: &'static [u8],
}

/// The number of bytes that are decompressed at a time, less than a millisecond of work.
const PIECE: usize = 64 << 10;

impl File {
    /// The response with the file, compressed when the client accepts gzip.
    pub fn reply(&'static self, request: &Request) -> Result<Reply, Problem> {
        // Each representation has its own tag (RFC 9110, section 8.8.3.3).
        let reply = if request.accepts_coding("gzip") {
            Reply::content(self.media_type, self.gzip)
                .header("content-encoding", "gzip")
                .conditional(request, &format!("{}-gzip", self.tag))?
        } else {
            Reply::stream(self.media_type, self.length, self.inflated())
                .conditional(request, self.tag)?
        };
        Ok(reply.header("vary", "accept-encoding"))
    }

    /// Decompresses the file.
    fn inflated(&self) -> Stream {
        // The header of a gzip file without a name has 10 bytes, the trailer 8 (RFC 1952).
        let mut deflated = &self.gzip[10..self.gzip.len() - 8];
        let mut state = InflateState::new_boxed(DataFormat::Raw);
        Box::new(move || {
            let mut piece = vec![0; PIECE];
            let done = inflate(&mut state, deflated, &mut piece, MZFlush::None);
            deflated = &deflated[done.bytes_consumed..];
            piece.truncate(done.bytes_written);
            Ok(Some(piece).filter(|piece| !piece.is_empty()))
        })
    }
}
