//! As much of HTTP/1.1 as talking to a server on this machine needs.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use crate::error::{Error, Result};
use crate::place::HttpPlace;
use crate::transport::{read_sized, Broken, Timed, MAX_BODY_BYTES};
use crate::verb::Verb;

const MAX_HEAD_BYTES: u64 = 64 * 1024;

pub(crate) struct Http {
    stream: BufReader<Timed<TcpStream>>,
    host: String,
    prefix: String,
    key: Option<String>,
    reusable: bool,
}

impl Http {
    pub(crate) fn new(socket: TcpStream, place: &HttpPlace, key: Option<&str>) -> Self {
        Http {
            stream: BufReader::new(Timed::new(socket)),
            host: place.host.clone(),
            prefix: place.prefix.clone(),
            key: key.map(str::to_owned),
            reusable: true,
        }
    }

    pub(crate) fn is_reusable(&self) -> bool {
        self.reusable
    }

    pub(crate) fn exchange(
        &mut self,
        verb: Verb,
        body: &[u8],
        deadline: Instant,
    ) -> std::result::Result<Vec<u8>, Broken> {
        self.stream.get_mut().until(deadline);
        let answer = self.talk(verb, body);
        answer.map_err(|error| Broken { error, unheard: !self.stream.get_ref().heard })
    }

    fn talk(&mut self, verb: Verb, body: &[u8]) -> Result<Vec<u8>> {
        if body.len() > MAX_BODY_BYTES {
            return Err(Error::unwritable(format!("{} bytes, at most {MAX_BODY_BYTES}", body.len())));
        }
        let (method, path) = verb.target();
        let mut bytes = format!("{method} {}{path} HTTP/1.1\r\nHost: {}\r\n", self.prefix, self.host).into_bytes();
        if let Some(key) = &self.key {
            bytes.extend_from_slice(format!("Authorization: Bearer {key}\r\n").as_bytes());
        }
        if method == "POST" {
            let fields = format!("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
            bytes.extend_from_slice(fields.as_bytes());
            bytes.extend_from_slice(body);
        } else {
            bytes.extend_from_slice(b"\r\n");
        }
        self.stream.get_mut().write_all(&bytes).map_err(|error| Error::from_io(&error))?;
        let head = Head::read(&mut self.stream)?;
        let (answer, closes) = read_body(&mut self.stream, &head)?;
        self.reusable = !(closes || head.close);
        match head.status {
            200..=299 => Ok(answer),
            status => Err(crate::error::refusal(&answer, status)),
        }
    }
}

/// What matters of an answer's head.
#[derive(Debug, Default)]
struct Head {
    status: u16,
    length: Option<usize>,
    chunked: bool,
    close: bool,
}

impl Head {
    fn read(from: &mut impl BufRead) -> Result<Self> {
        loop {
            let head = Head::read_one(from)?;
            if head.status >= 200 {
                return Ok(head);
            }
        }
    }

    fn read_one(from: &mut impl BufRead) -> Result<Self> {
        let mut limited = from.take(MAX_HEAD_BYTES);
        let first = read_line(&mut limited)?;
        let mut words = first.splitn(3, ' ');
        let version = words.next().unwrap_or_default();
        let status = words.next().and_then(|word| word.parse().ok());
        let (true, Some(status)) = (version.starts_with("HTTP/1."), status) else {
            return Err(Error::protocol("no HTTP/1 status line"));
        };
        let mut head = Head { status, close: version == "HTTP/1.0", ..Head::default() };
        loop {
            let line = read_line(&mut limited)?;
            if line.is_empty() {
                return Ok(head);
            }
            let Some((name, value)) = line.split_once(':') else {
                return Err(Error::protocol("a header without a colon"));
            };
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "content-length" => {
                    let length = value.parse().ok().filter(|length| *length <= MAX_BODY_BYTES);
                    head.length = Some(length.ok_or_else(|| Error::protocol("an odd Content-Length"))?);
                }
                "transfer-encoding" => head.chunked = value.eq_ignore_ascii_case("chunked"),
                "connection" => head.close |= value.eq_ignore_ascii_case("close"),
                _ => {}
            }
        }
    }
}

/// A line without its end. Its bytes count against the limit of what it is read from.
fn read_line(from: &mut impl BufRead) -> Result<String> {
    let mut line = Vec::new();
    from.read_until(b'\n', &mut line).map_err(|error| Error::from_io(&error))?;
    if line.pop() != Some(b'\n') {
        return Err(Error::Unreachable("the connection ended inside an answer".into()));
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    String::from_utf8(line).map_err(|_| Error::protocol("a head that is no text"))
}

/// The body, and whether the connection ends with it.
fn read_body(from: &mut impl BufRead, head: &Head) -> Result<(Vec<u8>, bool)> {
    let io = |error: io::Error| Error::from_io(&error);
    if head.status == 204 || head.status == 304 {
        return Ok((Vec::new(), false));
    }
    if head.chunked {
        return read_chunks(from).map(|body| (body, false));
    }
    if let Some(length) = head.length {
        return read_sized(from, length).map(|body| (body, false)).map_err(io);
    }
    let mut body = Vec::new();
    from.take(MAX_BODY_BYTES as u64).read_to_end(&mut body).map_err(io)?;
    Ok((body, true))
}

fn read_chunks(from: &mut impl BufRead) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = read_line(&mut from.take(MAX_HEAD_BYTES))?;
        let digits = line.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(digits, 16).ok().filter(|size| *size <= MAX_BODY_BYTES - body.len());
        let size = size.ok_or_else(|| Error::protocol("an odd chunk size"))?;
        if size == 0 {
            while !read_line(&mut from.take(MAX_HEAD_BYTES))?.is_empty() {}
            return Ok(body);
        }
        body.extend(read_sized(from, size).map_err(|error| Error::from_io(&error))?);
        if !read_line(&mut from.take(MAX_HEAD_BYTES))?.is_empty() {
            return Err(Error::protocol("a chunk without its end"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(answer: &str) -> Result<(u16, Vec<u8>, bool)> {
        let mut from = io::Cursor::new(answer.as_bytes());
        let head = Head::read(&mut from)?;
        let (body, closes) = read_body(&mut from, &head)?;
        Ok((head.status, body, closes || head.close))
    }

    #[test]
    fn reads_bodies_of_each_framing() {
        let cases = [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabrest", (200, b"ab".to_vec(), false)),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;x\r\nc\r\n0\r\n\r\n",
                (200, b"abc".to_vec(), false),
            ),
            (
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 No\r\ncontent-length:1\r\nConnection: close\r\n\r\nx",
                (404, b"x".to_vec(), true),
            ),
            ("HTTP/1.1 200 OK\n\nto the end", (200, b"to the end".to_vec(), true)),
            ("HTTP/1.1 204 No Content\r\n\r\n", (204, Vec::new(), false)),
        ];
        for (answer, expected) in cases {
            assert_eq!(read(answer), Ok(expected), "{answer}");
        }
    }

    #[test]
    fn odd_answers_are_errors() {
        for answer in [
            "",
            "SSH-2.0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabXX\r\n",
        ] {
            assert!(read(answer).is_err(), "{answer}");
        }
        let endless = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "y".repeat(MAX_HEAD_BYTES as usize));
        assert!(read(&endless).is_err());
    }
}
