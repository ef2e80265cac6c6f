//! The served files, as prepared by `build.rs`.

use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZFlush};
use web::{Problem, Reply, Request, Stream};

include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// An embedded file. Only the compressed form is stored: with plain copies as well, the component
/// would be four times as large.
pub struct File {
    /// The last segment of its URL.
    pub name: &'static str,
    media_type: &'static str,
    /// The entity tag of the uncompressed file, without quotes.
    tag: &'static str,
    /// The size of the uncompressed file in bytes.
    length: usize,
    gzip: &'static [u8],
}

/// The size of a decompressed chunk in bytes, less than a millisecond of work.
const CHUNK: usize = 64 << 10;

impl File {
    /// Returns the response with the file, compressed if the client accepts gzip.
    pub fn reply(&'static self, request: &Request) -> Result<Reply, Problem> {
        // The two representations need different tags (RFC 9110, section 8.8.3.3).
        let reply = if request.accepts_coding("gzip") {
            Reply::content(self.media_type, self.gzip)
                .header("content-encoding", "gzip")
                .conditional(request, &format!("{}-gzip", self.tag))?
        } else {
            Reply::stream(self.media_type, Some(self.length), self.decompressed())
                .conditional(request, self.tag)?
        };
        Ok(reply.header("vary", "accept-encoding"))
    }

    /// Returns the uncompressed file in chunks.
    fn decompressed(&self) -> Stream {
        // Without a file name, the gzip header has 10 bytes; the trailer has 8 (RFC 1952).
        let mut deflated = &self.gzip[10..self.gzip.len() - 8];
        let mut state = InflateState::new_boxed(DataFormat::Raw);
        Box::new(move || {
            let mut chunk = vec![0; CHUNK];
            let progress = inflate(&mut state, deflated, &mut chunk, MZFlush::None);
            deflated = &deflated[progress.bytes_consumed..];
            chunk.truncate(progress.bytes_written);
            Ok(Some(chunk).filter(|chunk| !chunk.is_empty()))
        })
    }
}
