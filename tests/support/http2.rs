//! An HTTP/2 client that sends and receives single frames (RFC 9113).

use std::io::{Read, Write};
use std::net::TcpStream;

/// Frame types.
const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const RST_STREAM: u8 = 0x3;
const SETTINGS: u8 = 0x4;
const GOAWAY: u8 = 0x7;

/// Flags of HEADERS; the first one is also a flag of DATA.
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;

/// The setting for the size of the dynamic table of header fields.
const HEADER_TABLE_SIZE: u16 = 0x1;
/// The setting for the initial window size of a stream.
pub(crate) const INITIAL_WINDOW_SIZE: u16 = 0x4;

/// A received frame.
pub(crate) struct Frame {
    pub(crate) kind: u8,
    flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// Returns whether this is the last frame of its stream.
    pub(crate) fn ends_stream(&self) -> bool {
        matches!(self.kind, DATA | HEADERS) && self.flags & END_STREAM != 0
    }

    /// Returns the status code of a response. It is the first field: an index of the static table,
    /// or three digits in the Huffman code. The dynamic table is not in use.
    pub(crate) fn status(&self) -> u16 {
        assert_eq!(self.kind, HEADERS);
        // A response that follows the settings begins with the size of the table.
        let fields = self.payload.strip_prefix(&[0x20]).unwrap_or(&self.payload);
        match *fields {
            [0x88, ..] => 200,
            [0x89, ..] => 204,
            [0x8b, ..] => 304,
            [0x8c, ..] => 400,
            [0x8d, ..] => 404,
            [0x8e, ..] => 500,
            [0x08, 0x82, a, b, ..] => huffman_digits([a, b, 0, 0]),
            [0x08, 0x83, a, b, c, ..] => huffman_digits([a, b, c, 0]),
            _ => panic!("unknown status: {fields:x?}"),
        }
    }
}

/// Decodes three digits of HPACK's Huffman code (RFC 7541, appendix B).
fn huffman_digits(bytes: [u8; 4]) -> u16 {
    let mut bits = u32::from_be_bytes(bytes);
    let mut number = 0;
    for _ in 0..3 {
        // The codes of 0 to 2 have five bits, those of the other digits six, from 0x19.
        let (digit, length) = match bits >> 27 {
            short @ 0..=2 => (short, 5),
            _ => ((bits >> 26) - 0x19 + 3, 6),
        };
        number = 10 * number + digit as u16;
        bits <<= length;
    }
    number
}

/// An HTTP/2 connection.
pub(crate) struct Http2 {
    stream: TcpStream,
    last_stream: Option<u32>,
}

impl Http2 {
    /// Starts HTTP/2 on a connection, with prior knowledge and these settings.
    pub(crate) fn start(stream: TcpStream, settings: &[(u16, u32)]) -> Http2 {
        let mut client = Http2 { stream, last_stream: None };
        let settings: Vec<u8> = [(HEADER_TABLE_SIZE, 0)]
            .iter()
            .chain(settings)
            .flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat())
            .collect();
        client.stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").expect("the server reads");
        client.write(SETTINGS, 0, 0, &settings);
        client
    }

    /// Sends the head of a request on a new stream, without a body.
    pub(crate) fn request(&mut self, method: &str, path: &str, fields: &[(&str, &str)]) -> u32 {
        self.send_head(method, path, fields, END_STREAM | END_HEADERS)
    }

    /// Sends the head of a request on a new stream. Its body is announced but not sent.
    pub(crate) fn request_with_body(
        &mut self,
        method: &str,
        path: &str,
        fields: &[(&str, &str)],
    ) -> u32 {
        self.send_head(method, path, fields, END_HEADERS)
    }

    fn send_head(&mut self, method: &str, path: &str, fields: &[(&str, &str)], flags: u8) -> u32 {
        let stream = self.last_stream.map_or(1, |last| last + 2);
        self.last_stream = Some(stream);
        let pseudo =
            [(":method", method), (":scheme", "http"), (":authority", "x"), (":path", path)];
        self.write(HEADERS, flags, stream, &literal_fields(&[&pseudo, fields].concat()));
        stream
    }

    fn write(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = (payload.len() as u32).to_be_bytes();
        let head = [length[1], length[2], length[3], kind, flags];
        let frame = [&head[..], &stream.to_be_bytes(), payload].concat();
        self.stream.write_all(&frame).expect("the server reads");
    }

    /// Reads the next frame. Returns `None` when the server has closed the connection.
    pub(crate) fn read(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).ok()?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        self.stream.read_exact(&mut payload).ok()?;
        Some(Frame { kind, flags, stream: u32::from_be_bytes(stream), payload })
    }

    /// Reads frames until the next HEADERS or DATA frame, and returns it.
    pub(crate) fn read_response(&mut self) -> Frame {
        loop {
            let frame = self.read().expect("the server responds");
            if matches!(frame.kind, DATA | HEADERS) {
                return frame;
            }
            // After a complete response, a server resets the request without an error.
            let is_error = match frame.kind {
                RST_STREAM => frame.payload != [0; 4],
                kind => kind == GOAWAY,
            };
            assert!(!is_error, "{:x?}", frame.payload);
        }
    }
}

/// Encodes fields without compression (RFC 7541, section 6.2.2). Names and values must be shorter
/// than 127 bytes.
fn literal_fields(fields: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| [&[text.len() as u8], text.as_bytes()].concat();
    fields.iter().flat_map(|(name, value)| [vec![0], text(name), text(value)].concat()).collect()
}
