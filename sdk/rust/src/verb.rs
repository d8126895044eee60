//! The calls of the agent API, as the two transports name them.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Lookup,
    Commit,
    Abort,
    Invalidate,
    Hint,
    Stats,
}

impl Verb {
    /// The first byte of a frame over the Unix socket.
    #[cfg_attr(not(unix), allow(dead_code))]
    pub(crate) fn letter(self) -> u8 {
        match self {
            Verb::Lookup => b'L',
            Verb::Commit => b'C',
            Verb::Abort => b'A',
            Verb::Invalidate => b'I',
            Verb::Hint => b'H',
            Verb::Stats => b'S',
        }
    }

    /// Method and path over HTTP.
    pub(crate) fn target(self) -> (&'static str, &'static str) {
        match self {
            Verb::Lookup => ("POST", "/payonce/v1/lookup"),
            Verb::Commit => ("POST", "/payonce/v1/commit"),
            Verb::Abort => ("POST", "/payonce/v1/abort"),
            Verb::Invalidate => ("POST", "/payonce/v1/invalidate"),
            Verb::Hint => ("POST", "/payonce/v1/hint"),
            Verb::Stats => ("GET", "/payonce/v1/stats"),
        }
    }
}
