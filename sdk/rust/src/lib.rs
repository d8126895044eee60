//! Client of Payonce: one cache for an agent's LLM calls, tool results, plans and
//! sub-agent runs.
//!
//! A [`lookup`](Client::lookup) answers with a stored value or with a [`Ticket`]; who has the ticket computes the value
//! and [`commit`](Client::commit)s it. What was computed in a [`Run`] is seen by nobody else until the run is published.
//!
//! ```
//! use payonce::{Client, Dependency, Kind, Lookup, Request};
//!
//! let client = Client::from_env();
//! let request = Request::new(Kind::ToolResult)
//!     .part("tool", "read")
//!     .part("path", "Cargo.toml")
//!     .dependency(Dependency::file("Cargo.toml"));
//!
//! let text = match client.lookup(&request) {
//!     Lookup::Hit(hit) => hit.parse::<String>().unwrap_or_default(),
//!     Lookup::Miss(payonce::Miss { ticket, .. }) | Lookup::Stale(payonce::Stale { ticket, .. }) => {
//!         let text = std::fs::read_to_string("Cargo.toml").unwrap_or_default();
//!         // An error means that nothing was stored, no more than that.
//!         let _ = client.commit(ticket, &text);
//!         text
//!     }
//! };
//! assert!(text.contains("payonce"));
//! ```
//!
//! # It never stands in the way
//! - With no server there, a lookup is a miss within a millisecond, and for a second after a refused connection none is
//!   tried ([`Builder::retry_after`]).
//! - A lookup that takes longer than 50 ms is a miss. [`Builder::lookup_timeout`] sets another bound, else
//!   `PAYONCE_TIMEOUT_MS` does (a positive number such as `200`; with anything else the client is off).
//! - Nothing here panics. A lookup has no error; other calls give a [`Result`] that may be ignored.
//!
//! # Where the server is
//! `PAYONCE_SOCKET` (the path of a Unix socket) wins. Else the server's default socket is used when it is there and
//! belongs to this user or root: `$XDG_RUNTIME_DIR/payonce/PORT.sock`, without that variable
//! `/tmp/payonce-UID/PORT.sock`. Else HTTP to `PAYONCE_URL` (default `http://127.0.0.1:4141`). Only plain HTTP to
//! loopback addresses is spoken; with another URL the client is off and [`Client::off_because`] says why.
//! `PAYONCE_API_KEY` is the credential, and with it the scope.
//!
//! All types are `Send + Sync`; a [`Client`] is cheap to clone and keeps its connections. Calls block, for as long as
//! the bounds above: in async code run them on a thread for blocking work.

// It must never panic inside somebody's agent. (clippy.toml lets the tests.)
#![deny(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod answer;
mod client;
mod commit;
mod dependency;
mod error;
mod http;
mod place;
mod request;
mod run;
mod ticket;
mod transport;
#[cfg(unix)]
mod unix;
mod verb;

pub use answer::{Changed, Committed, Explain, Hit, LayerStats, Lookup, Miss, Reason, Stale, Stats};
pub use client::{Builder, Client};
pub use commit::Commit;
pub use dependency::{Dependency, ReadSet};
pub use error::{Error, Result};
pub use request::{Event, Hint, Invalidate, Kind, Request, ToolsMode};
pub use run::Run;
pub use ticket::Ticket;
