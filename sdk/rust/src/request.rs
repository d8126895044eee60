use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::dependency::Dependency;
use crate::error::{Error, Result};

/// What is cached. Two kinds never share an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kind {
    /// One call of a model.
    Llm,
    /// A plan for a task.
    Plan,
    /// Which tools a task needs.
    Tools,
    /// What a tool gave.
    ToolResult,
    /// A whole run of a sub-agent.
    Subagent,
    /// A list of search results.
    Retrieval,
    /// The summary of a conversation.
    Compaction,
}

/// Whether a changed tool matters to an entry that did not use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ToolsMode {
    /// `parts.tools` is part of the key: any change misses.
    Strict,
    /// Only the tools that the commit names as used are checked.
    Used,
}

/// A question to the cache. Its kind, parts, versions and scope are its key; the order of fields and the spelling of
/// numbers make no difference.
#[derive(Debug, Clone, Serialize)]
pub struct Request {
    kind: Kind,
    parts: Map<String, Value>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    versions: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    deps: Vec<Dependency>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_age: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wait: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    semantic: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tools_mode: Option<ToolsMode>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    explain: bool,
    #[serde(skip)]
    within: Option<Duration>,
    /// The first part that could not be written as JSON.
    #[serde(skip)]
    fault: Option<String>,
}

impl Request {
    /// Longest time that [`Request::wait`] allows.
    pub const MAX_WAIT: Duration = Duration::from_secs(60);

    /// A question without parts.
    pub fn new(kind: Kind) -> Self {
        Request {
            kind,
            parts: Map::new(),
            versions: BTreeMap::new(),
            scope: None,
            deps: Vec::new(),
            run: None,
            max_age: None,
            wait: None,
            semantic: None,
            tools_mode: None,
            explain: false,
            within: None,
            fault: None,
        }
    }

    /// A part of the key: anything that JSON can hold. A value that JSON cannot hold makes the lookup a miss.
    pub fn part(mut self, name: impl Into<String>, value: impl Serialize) -> Self {
        let name = name.into();
        match serde_json::to_value(value) {
            Ok(value) => {
                self.parts.insert(name, value);
            }
            Err(error) => self.fault = self.fault.or(Some(format!("parts.{name}: {error}"))),
        }
        self
    }

    /// A version tag, part of the key: `("tools", "v3")`.
    pub fn version(mut self, name: impl Into<String>, tag: impl Into<String>) -> Self {
        self.versions.insert(name.into(), tag.into());
        self
    }

    /// Narrows the credential's scope, as in `user:ann, session:7`.
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = Some(scope.into());
        self
    }

    /// Something that the value will be made from, known beforehand.
    pub fn dependency(mut self, dependency: Dependency) -> Self {
        self.deps.push(dependency);
        self
    }

    /// Several dependencies.
    pub fn dependencies(mut self, dependencies: impl IntoIterator<Item = Dependency>) -> Self {
        self.deps.extend(dependencies);
        self
    }

    /// The run whose pending entries may be seen. [`Run::lookup`](crate::Run::lookup) does it.
    pub fn run(mut self, id: impl Into<String>) -> Self {
        self.run = Some(id.into());
        self
    }

    /// No older entry is given.
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = Some(age.as_secs());
        self
    }

    /// Waits so long (at most [`Request::MAX_WAIT`]) when another caller is computing the same.
    pub fn wait(mut self, at_most: Duration) -> Self {
        self.wait = Some(at_most.min(Self::MAX_WAIT).as_secs_f64());
        self
    }

    /// How long this lookup may take, instead of the client's bound: where the work that a hit spares is long, or the
    /// server has to read a large work tree first.
    pub fn within(mut self, bound: Duration) -> Self {
        self.within = Some(bound);
        self
    }

    /// `false`: no look-up by meaning, for the kinds that have one.
    pub fn semantic(mut self, on: bool) -> Self {
        self.semantic = Some(on);
        self
    }

    /// Whether a changed tool matters to an entry that did not use it.
    pub fn tools_mode(mut self, mode: ToolsMode) -> Self {
        self.tools_mode = Some(mode);
        self
    }

    /// Asks why it misses.
    pub fn explain(mut self) -> Self {
        self.explain = true;
        self
    }

    /// The dependencies named so far.
    pub fn named_dependencies(&self) -> &[Dependency] {
        &self.deps
    }

    /// The bound of this lookup, where the client's own is `otherwise`.
    pub(crate) fn bound(&self, otherwise: Duration) -> Duration {
        let waits = Duration::from_secs_f64(self.wait.unwrap_or(0.0));
        self.within.unwrap_or(otherwise).saturating_add(waits)
    }

    pub(crate) fn run_id(&self) -> Option<&str> {
        self.run.as_deref()
    }

    pub(crate) fn body(&self) -> Result<Vec<u8>> {
        match &self.fault {
            Some(fault) => Err(Error::unwritable(fault.as_str())),
            None => to_body(self),
        }
    }
}

pub(crate) fn to_body(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| Error::unwritable(error.to_string()))
}

/// Which entries to remove; always within the caller's own credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Invalidate {
    /// One entry, by its id.
    Entry(String),
    /// All with a version tag, as in `tools=v3`.
    Version(String),
    /// All of a narrower scope, as in `user:ann`.
    Scope(String),
    /// All that depend on a path, or on a directory above it.
    Path(PathBuf),
    /// All of a kind.
    Kind(Kind),
}

/// What happens in a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// It began.
    Open,
    /// A turn was made.
    Turn,
    /// It waits, for a person or a tool.
    Waiting,
    /// It is over.
    End,
}

/// What is known of a session's future. Advice for eviction and keep-alive; never needed for right answers.
#[derive(Debug, Clone, Serialize)]
pub struct Hint {
    session: String,
    event: Event,
    #[serde(skip_serializing_if = "Option::is_none")]
    expect_return_s: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<String>,
}

impl Hint {
    /// What happened in which session.
    pub fn new(session: impl Into<String>, event: Event) -> Self {
        Hint { session: session.into(), event, expect_return_s: None, run: None }
    }

    /// When the session is expected to go on.
    pub fn expect_return(mut self, after: Duration) -> Self {
        self.expect_return_s = Some(after.as_secs());
        self
    }

    /// The run that it is about.
    pub fn run(mut self, id: impl Into<String>) -> Self {
        self.run = Some(id.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn written(value: &impl Serialize) -> Value {
        serde_json::from_slice(&to_body(value).unwrap()).unwrap()
    }

    #[test]
    fn a_lookup_is_written_as_the_api_has_it() {
        let request = Request::new(Kind::ToolResult)
            .part("task", "sum it")
            .version("tools", "v3")
            .scope("user:ann")
            .dependency(Dependency::file("/a"))
            .run("run-1")
            .max_age(Duration::from_secs(3600))
            .wait(Duration::from_secs(90))
            .semantic(false)
            .tools_mode(ToolsMode::Used)
            .explain();
        let expected = json!({
            "kind": "tool_result", "parts": {"task": "sum it"}, "versions": {"tools": "v3"}, "scope": "user:ann",
            "deps": [{"type": "file", "path": "/a"}], "run": "run-1", "max_age": 3600, "wait": 60.0,
            "semantic": false, "tools_mode": "used", "explain": true,
        });
        assert_eq!(written(&request), expected);
        assert_eq!(written(&Request::new(Kind::Llm)), json!({"kind": "llm", "parts": {}}));
    }

    #[test]
    fn a_part_that_json_cannot_hold_is_an_error_that_names_it() {
        let keys = BTreeMap::from([((1, 2), 3)]);
        let error = Request::new(Kind::Llm).part("odd", keys).body().unwrap_err();
        assert!(error.to_string().contains("parts.odd"), "{error}");
    }

    #[test]
    fn invalidate_and_hint_are_written_as_the_api_has_them() {
        assert_eq!(written(&Invalidate::Path("/a".into())), json!({"path": "/a"}));
        assert_eq!(written(&Invalidate::Kind(Kind::Plan)), json!({"kind": "plan"}));
        let hint = Hint::new("7", Event::Waiting).expect_return(Duration::from_secs(30)).run("run-1");
        let expected = json!({"session": "7", "event": "waiting", "expect_return_s": 30, "run": "run-1"});
        assert_eq!(written(&hint), expected);
    }
}
