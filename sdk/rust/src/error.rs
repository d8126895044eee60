use std::fmt;
use std::io;

use serde::Deserialize;

/// What every call but a lookup gives.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a call did nothing. Nothing was stored then, and the agent goes on as without a cache.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The client is off: it was told an address that it cannot speak to.
    Off(String),
    /// No server is there, or it was not there a moment ago and is not asked again yet.
    Unreachable(String),
    /// No answer in time.
    Timeout,
    /// The server (or, before sending, this crate) does not accept the call.
    Refused {
        /// The HTTP status; 0 when it was not sent.
        status: u16,
        /// The error's type, such as `unknown_ticket`.
        kind: String,
        /// What is wrong, in words.
        message: String,
    },
    /// What came is no answer of Payonce.
    Protocol(String),
}

impl Error {
    pub(crate) fn protocol(message: impl Into<String>) -> Self {
        Error::Protocol(message.into())
    }

    /// A call that cannot be written down.
    pub(crate) fn unwritable(message: impl Into<String>) -> Self {
        Error::Refused { status: 0, kind: "invalid_request".into(), message: message.into() }
    }

    /// A failure while talking, not while connecting.
    pub(crate) fn from_io(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Error::Timeout,
            _ => Error::Unreachable(error.to_string()),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Off(why) => write!(out, "payonce is off: {why}"),
            Error::Unreachable(why) => write!(out, "no payonce server: {why}"),
            Error::Timeout => write!(out, "payonce did not answer in time"),
            Error::Refused { status: 0, message, .. } => write!(out, "not sent: {message}"),
            Error::Refused { status, kind, message } => {
                write!(out, "refused with {status} {kind}: {message}")
            }
            Error::Protocol(what) => write!(out, "no answer of payonce: {what}"),
        }
    }
}

impl std::error::Error for Error {}

/// An error's body, as both transports have it; over HTTP the status stands in the head as well.
pub(crate) fn refusal(body: &[u8], status: u16) -> Error {
    #[derive(Deserialize)]
    struct Body {
        error: Detail,
    }
    #[derive(Deserialize)]
    struct Detail {
        #[serde(rename = "type", default)]
        kind: String,
        #[serde(default)]
        message: String,
        #[serde(default)]
        status: u16,
    }
    match serde_json::from_slice::<Body>(body) {
        Ok(Body { error }) => {
            let status = if status == 0 { error.status } else { status };
            Error::Refused { status, kind: error.kind, message: error.message }
        }
        Err(_) => Error::protocol(format!("status {status}, and no error that can be read")),
    }
}
