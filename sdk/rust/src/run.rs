use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

use crate::answer::{count, Committed, Lookup};
use crate::client::Client;
use crate::commit::Commit;
use crate::error::{Error, Result};
use crate::request::Request;
use crate::ticket::Ticket;
use crate::verb::Verb;

/// Groups what one piece of work computes. Its entries are seen by its own lookups alone until [`Run::publish`];
/// dropped before that, all of them are deleted.
///
/// ```
/// use payonce::{Client, Kind, Request};
///
/// let run = Client::from_env().run();
/// let request = Request::new(Kind::Plan).part("task", "add a test");
/// if let Err(ticket) = run.lookup(&request).hit_or_ticket() {
///     let _ = run.commit(ticket, &["read the code", "write the test"]);
/// }
/// let tests_pass = true;
/// if tests_pass {
///     let _ = run.publish();
/// }
/// ```
#[derive(Debug)]
pub struct Run {
    client: Client,
    id: String,
    open: AtomicBool,
    used: AtomicBool,
}

impl Run {
    pub(crate) fn new(client: &Client) -> Self {
        Run { client: client.clone(), id: fresh_id(), open: AtomicBool::new(true), used: AtomicBool::new(false) }
    }

    /// Its name for the server.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// As [`Client::lookup`]; sees the run's pending entries as well.
    pub fn lookup(&self, request: &Request) -> Lookup {
        self.used.store(true, Ordering::Relaxed);
        self.client.lookup(&request.clone().run(&self.id))
    }

    /// As [`Client::commit`]; what it stores is pending until the run is published.
    pub fn commit(&self, ticket: Ticket, commit: impl Into<Commit>) -> Result<Committed> {
        self.client.commit(ticket, commit)
    }

    /// Makes all that is pending visible; how many entries that is. A second call does nothing.
    pub fn publish(&self) -> Result<u64> {
        if !self.open.swap(false, Ordering::AcqRel) || !self.used.load(Ordering::Relaxed) {
            return Ok(0);
        }
        let answer = self.client.call(Verb::Commit, &json!({"run": self.id, "outcome": "success"}));
        match answer.and_then(|body| count(&body, "entries")) {
            // A run that committed nothing is not known to the server, which is no failure.
            Err(Error::Refused { status: 404, .. }) => Ok(0),
            other => other,
        }
    }

    /// Deletes all that is pending; how many entries that was. Dropping the run does the same.
    pub fn abort(&self) -> Result<u64> {
        if !self.open.swap(false, Ordering::AcqRel) || !self.used.load(Ordering::Relaxed) {
            return Ok(0);
        }
        count(&self.client.call(Verb::Abort, &json!({"run": self.id}))?, "entries")
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // When it fails, what is pending expires by itself and stays unseen until then.
        let _ = self.abort();
    }
}

/// Unlike that of any other run of this machine.
fn fresh_id() -> String {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    format!("run-{:x}-{now:x}-{number:x}", std::process::id())
}
