//! The files that are served, as `build.rs` has prepared them.

use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZFlush};
use web::{Problem, Reply, Request, Stream};

include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// A file, kept once, compressed: a plain copy beside it would make the wasm four times as large.
pub struct File {
    /// What it is called where it is one of several.
    pub name: &'static str,
    media_type: &'static str,
    /// Names the plain bytes.
    tag: &'static str,
    /// How many bytes it has when it is plain.
    length: usize,
    gzip: &'static [u8],
}

/// How much is inflated between two calls of the host: less than a millisecond's work.
const PIECE: usize = 64 << 10;

impl File {
    /// The file, compressed for those who take that, unless the client has it already.
    pub fn reply(&'static self, request: &Request) -> Result<Reply, Problem> {
        // The two are different bytes, so they have different tags (RFC 9110, section 8.8.3.3).
        let reply = if request.takes("gzip") {
            Reply::of(self.media_type, self.gzip)
                .header("content-encoding", "gzip")
                .conditional(request, &format!("{}-gzip", self.tag))?
        } else {
            Reply::stream(self.media_type, self.length, self.inflated())
                .conditional(request, self.tag)?
        };
        Ok(reply.header("vary", "accept-encoding").header("x-content-type-options", "nosniff"))
    }

    /// The plain bytes.
    fn inflated(&self) -> Stream {
        // Header and trailer of a gzip file without a name have 10 and 8 bytes (RFC 1952).
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
