//! Frames over the Unix socket: one byte for the verb, four for the body's length (big-endian), then the body.

use std::io::{self, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::error::{refusal, Error, Result};
use crate::transport::{read_sized, Broken, Socket, Timed, MAX_BODY_BYTES};
use crate::verb::Verb;

const HEAD_BYTES: usize = 5;
const CREDENTIAL: u8 = b'K';
const REFUSAL: u8 = b'X';

impl Socket for UnixStream {
    fn set_timeouts(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.set_read_timeout(timeout)?;
        self.set_write_timeout(timeout)
    }
}

pub(crate) struct Unix {
    stream: BufReader<Timed<UnixStream>>,
    /// The credential's frame, until it was sent ahead of the first call.
    greeting: Option<Vec<u8>>,
}

impl Unix {
    pub(crate) fn connect(path: &Path, key: Option<&str>, deadline: Instant) -> Result<Self> {
        let stream = connect_within(path.to_path_buf(), deadline)?;
        let greeting = match key {
            Some(key) => Some(frame(CREDENTIAL, json!({ "credential": key }).to_string().as_bytes())?),
            None => None,
        };
        Ok(Unix { stream: BufReader::new(Timed::new(stream)), greeting })
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
        let body = if verb == Verb::Stats { b"{}" } else { body };
        let call = frame(verb.letter(), body)?;
        let greeting = self.greeting.take();
        let bytes = match &greeting {
            Some(greeting) => [greeting.as_slice(), &call].concat(),
            None => call,
        };
        let io = |error: io::Error| Error::from_io(&error);
        self.stream.get_mut().write_all(&bytes).map_err(io)?;
        if greeting.is_some() {
            self.read_answer(CREDENTIAL)?;
        }
        self.read_answer(verb.letter())
    }

    fn read_answer(&mut self, letter: u8) -> Result<Vec<u8>> {
        let mut head = [0; HEAD_BYTES];
        self.stream.read_exact(&mut head).map_err(|error| Error::from_io(&error))?;
        let [said, length @ ..] = head;
        let length = u32::from_be_bytes(length) as usize;
        if length > MAX_BODY_BYTES {
            return Err(Error::protocol(format!("a frame of {length} bytes")));
        }
        let body = read_sized(&mut self.stream, length).map_err(|error| Error::from_io(&error))?;
        match said {
            REFUSAL => Err(refusal(&body, 0)),
            said if said == letter => Ok(body),
            said => Err(Error::protocol(format!("a frame '{}'", said.escape_ascii()))),
        }
    }
}

fn frame(letter: u8, body: &[u8]) -> Result<Vec<u8>> {
    let length = u32::try_from(body.len()).ok().filter(|_| body.len() <= MAX_BODY_BYTES);
    let length =
        length.ok_or_else(|| Error::unwritable(format!("{} bytes, at most {MAX_BODY_BYTES}", body.len())))?;
    let mut bytes = Vec::with_capacity(HEAD_BYTES + body.len());
    bytes.push(letter);
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(body);
    Ok(bytes)
}

/// A Unix socket's connect waits without bound when the server has stopped accepting, and std cannot bound it. So it
/// waits on a thread of its own, which ends when the server accepts or goes.
fn connect_within(path: PathBuf, deadline: Instant) -> Result<UnixStream> {
    let shown = path.display().to_string();
    let unreachable = |error: io::Error| Error::Unreachable(format!("{shown}: {error}"));
    // Most often it is told at once that nobody is there; that needs no thread.
    if let Err(error) = std::fs::symlink_metadata(&path) {
        return Err(unreachable(error));
    }
    let (sender, receiver) = mpsc::sync_channel(1);
    let thread = std::thread::Builder::new().name("payonce-connect".into()).spawn(move || {
        let _ = sender.send(UnixStream::connect(path));
    });
    thread.map_err(&unreachable)?;
    let left = deadline.saturating_duration_since(Instant::now());
    receiver.recv_timeout(left).map_err(|_| Error::Timeout)?.map_err(unreachable)
}
