//! One request and its answer over whichever connection there is, within a deadline.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::http::Http;
#[cfg(unix)]
use crate::place::Named;
use crate::place::{HttpPlace, Place};
#[cfg(unix)]
use crate::unix;
use crate::verb::Verb;

/// Largest body of a call or an answer.
pub(crate) const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;

/// A byte stream whose waiting can be bounded.
pub(crate) trait Socket: Read + Write + Send {
    fn set_timeouts(&self, timeout: Option<Duration>) -> io::Result<()>;
}

impl Socket for TcpStream {
    fn set_timeouts(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.set_read_timeout(timeout)?;
        self.set_write_timeout(timeout)
    }
}

/// Reads and writes until a deadline, however slowly the bytes come.
pub(crate) struct Timed<S> {
    socket: S,
    deadline: Instant,
    /// Whether a byte came since [`Timed::until`].
    pub(crate) heard: bool,
}

impl<S: Socket> Timed<S> {
    pub(crate) fn new(socket: S) -> Self {
        Timed { socket, deadline: Instant::now(), heard: false }
    }

    pub(crate) fn until(&mut self, deadline: Instant) {
        self.deadline = deadline;
        self.heard = false;
    }

    fn arm(&self) -> io::Result<()> {
        match self.deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            Some(left) => self.socket.set_timeouts(Some(left)),
            None => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

impl<S: Socket> Read for Timed<S> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.arm()?;
        let count = self.socket.read(into)?;
        self.heard |= count > 0;
        Ok(count)
    }
}

impl<S: Socket> Write for Timed<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.arm()?;
        self.socket.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

/// A failure of [`Connection::exchange`].
pub(crate) struct Broken {
    pub(crate) error: Error,
    /// No byte of an answer came: on a connection that had been idle, the server may have closed it long ago.
    pub(crate) unheard: bool,
}

pub(crate) enum Connection {
    #[cfg(unix)]
    Unix(unix::Unix),
    Http(Http),
}

impl Connection {
    /// The first of the places that takes a connection. Without Unix sockets there is one.
    pub(crate) fn open(place: &Place, key: Option<&str>, deadline: Instant) -> Result<Self> {
        #[cfg(unix)]
        if let Some((path, named)) = &place.socket {
            if *named == Named::ByUser {
                return unix::Unix::connect(path, key, deadline).map(Connection::Unix);
            }
            if crate::place::is_own(path) {
                if let Ok(unix) = unix::Unix::connect(path, key, deadline) {
                    return Ok(Connection::Unix(unix));
                }
            }
        }
        match &place.http {
            Some(http) => open_http(http, key, deadline),
            None => Err(Error::Unreachable("no address".into())),
        }
    }

    /// Sends one call and gives the body of its answer. After a failure other than a refusal the connection is of no
    /// more use: an answer may still be on its way.
    pub(crate) fn exchange(
        &mut self,
        verb: Verb,
        body: &[u8],
        deadline: Instant,
    ) -> std::result::Result<Vec<u8>, Broken> {
        match self {
            #[cfg(unix)]
            Connection::Unix(unix) => unix.exchange(verb, body, deadline),
            Connection::Http(http) => http.exchange(verb, body, deadline),
        }
    }

    /// Whether another call may go over it.
    pub(crate) fn is_reusable(&self) -> bool {
        match self {
            #[cfg(unix)]
            Connection::Unix(_) => true,
            Connection::Http(http) => http.is_reusable(),
        }
    }
}

fn open_http(place: &HttpPlace, key: Option<&str>, deadline: Instant) -> Result<Connection> {
    let mut last = Error::Timeout;
    for address in &place.addresses {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        match TcpStream::connect_timeout(address, left) {
            Ok(socket) => {
                // Without it small requests wait for acknowledgements; where it cannot be set they are only slower.
                let _ = socket.set_nodelay(true);
                return Ok(Connection::Http(Http::new(socket, place, key)));
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut => last = Error::Timeout,
            Err(error) => last = Error::Unreachable(format!("{address}: {error}")),
        }
    }
    Err(last)
}

/// Reads exactly `size` bytes, in steps, so that a wrong size costs no memory before its bytes come.
pub(crate) fn read_sized(from: &mut impl Read, size: usize) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    from.take(size as u64).read_to_end(&mut body)?;
    match body.len() == size {
        true => Ok(body),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}
