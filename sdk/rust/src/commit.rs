use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use crate::dependency::Dependency;
use crate::error::{Error, Result};
use crate::request::to_body;

/// How a ticket's work ended, and what it gave. Only a successful end stores.
///
/// Any value that serde can write becomes one: `client.commit(ticket, &value)`.
#[derive(Debug, Clone, Serialize)]
pub struct Commit {
    value: Value,
    outcome: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    deps: Vec<Dependency>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    used: Option<Vec<String>>,
    #[serde(skip)]
    fault: Option<String>,
}

impl Commit {
    /// It went well and gave this value.
    pub fn success(value: impl Serialize) -> Self {
        let mut commit = Commit::ended("success");
        match serde_json::to_value(value) {
            Ok(value) => commit.value = value,
            Err(error) => commit.fault = Some(format!("value: {error}")),
        }
        commit
    }

    /// It did not go well (`"failure"`, `"cancelled"`, …): nothing is stored, the outcome is recorded.
    pub fn failed(outcome: impl Into<String>) -> Self {
        let outcome = outcome.into();
        // A word that would store must not come in by this door.
        Commit::ended(if outcome == "success" || outcome == "pending" { "failure".into() } else { outcome })
    }

    fn ended(outcome: impl Into<String>) -> Self {
        Commit {
            value: Value::Null,
            outcome: outcome.into(),
            deps: Vec::new(),
            ttl: None,
            usage: None,
            used: None,
            fault: None,
        }
    }

    /// What the value was made from, as far as the lookup did not name it.
    pub fn dependencies(mut self, dependencies: impl IntoIterator<Item = Dependency>) -> Self {
        self.deps.extend(dependencies);
        self
    }

    /// It is not given after so long.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl.as_secs());
        self
    }

    /// What it cost, as the provider counts it, with `cost_usd` beside where that is known; shown as saved at each hit.
    pub fn usage(mut self, usage: impl Serialize) -> Self {
        match serde_json::to_value(usage) {
            Ok(usage) => self.usage = Some(usage).filter(|usage| !usage.is_null()),
            Err(error) => self.fault = self.fault.or(Some(format!("usage: {error}"))),
        }
        self
    }

    /// The tools that were used, for lookups with [`ToolsMode::Used`](crate::ToolsMode::Used).
    pub fn used<Name: Into<String>>(mut self, tools: impl IntoIterator<Item = Name>) -> Self {
        self.used = Some(tools.into_iter().map(Into::into).collect());
        self
    }

    /// A success stays inside its run until that is published.
    pub(crate) fn in_run(mut self) -> Self {
        if self.outcome == "success" {
            self.outcome = "pending".into();
        }
        self
    }

    pub(crate) fn body(&self, ticket: &str) -> Result<Vec<u8>> {
        #[derive(Serialize)]
        struct Body<'a> {
            ticket: &'a str,
            #[serde(flatten)]
            commit: &'a Commit,
        }
        match &self.fault {
            Some(fault) => Err(Error::unwritable(fault.as_str())),
            None => to_body(&Body { ticket, commit: self }),
        }
    }
}

impl<T: Serialize + ?Sized> From<&T> for Commit {
    fn from(value: &T) -> Self {
        Commit::success(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn written(commit: &Commit) -> Value {
        serde_json::from_slice(&commit.body("t-1").unwrap()).unwrap()
    }

    #[test]
    fn is_written_as_the_api_has_it() {
        let commit = Commit::success(json!({"n": 42}))
            .dependencies([Dependency::file("/a")])
            .ttl(Duration::from_secs(60))
            .usage(json!({"input_tokens": 9}))
            .used(["read"]);
        let expected = json!({
            "ticket": "t-1", "value": {"n": 42}, "outcome": "success", "deps": [{"type": "file", "path": "/a"}],
            "ttl": 60, "usage": {"input_tokens": 9}, "used": ["read"],
        });
        assert_eq!(written(&commit), expected);
        assert!(written(&Commit::success(1).usage(None::<u64>)).get("usage").is_none());
        assert_eq!(written(&Commit::from("text")), json!({"ticket": "t-1", "value": "text", "outcome": "success"}));
    }

    #[test]
    fn a_failure_never_turns_into_something_stored() {
        assert_eq!(written(&Commit::failed("cancelled"))["outcome"], "cancelled");
        assert_eq!(written(&Commit::failed("success"))["outcome"], "failure");
        assert_eq!(written(&Commit::failed("cancelled").in_run())["outcome"], "cancelled");
        assert_eq!(written(&Commit::success(1).in_run())["outcome"], "pending");
    }
}
