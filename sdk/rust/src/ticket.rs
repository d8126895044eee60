use std::fmt;

use serde_json::json;

use crate::client::Client;
use crate::verb::Verb;

/// The right to commit one value. Dropped without a commit it is given back, so that nobody waits for it.
#[must_use = "commit a value with it; dropping it gives the work up"]
pub struct Ticket {
    client: Client,
    id: Option<String>,
    run: Option<String>,
}

impl Ticket {
    pub(crate) fn new(client: &Client, id: String, run: Option<&str>) -> Self {
        Ticket { client: client.clone(), id: Some(id), run: run.map(str::to_owned) }
    }

    /// For a lookup that could not be made: a commit with it does nothing.
    pub(crate) fn none(client: &Client) -> Self {
        Ticket { client: client.clone(), id: None, run: None }
    }

    /// Whether a commit with it can store anything.
    pub fn is_open(&self) -> bool {
        self.id.is_some()
    }

    pub(crate) fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// From here on it is used: dropping it does nothing.
    pub(crate) fn take(&mut self) -> Option<String> {
        self.id.take()
    }

    /// Whether its lookup was made in a run.
    pub(crate) fn is_in_run(&self) -> bool {
        self.run.is_some()
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Ticket").field("id", &self.id).field("run", &self.run).finish()
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(id) = self.id.take() {
            // Nothing to do when it fails: the ticket expires by itself.
            let _ = self.client.call(Verb::Abort, &json!({ "ticket": id }));
        }
    }
}
