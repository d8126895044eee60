//! Which tool calls are cached, what each depends on, and how a stored result
//! is given again.

use std::path::Path;
use std::process::Command;

use forge_config::ForgeConfig;
use forge_domain::{
    Agent, ChatResponseContent, Environment, FileOperation, ToolCallContext, ToolCallFull,
    ToolCatalog, ToolOutput, ToolResult, ToolValue,
};
use payonce::{Dependency, Kind, Request};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::FORGE;
use super::key::PATIENCE;
use crate::ToolResolver;
use crate::fmt::content::FormatContent;

/// What a tool call means for the cache.
pub(crate) enum Use {
    /// It only reads what its dependencies name.
    Cached(Box<Cached>),
    /// It hands a task to another agent, which keeps account of itself.
    Delegation,
    /// Anything else.
    Other,
}

/// A tool call that can be answered from the cache.
#[derive(Clone)]
pub(crate) struct Cached {
    tool: ToolCatalog,
    parts: serde_json::Value,
    depends: Depends,
}

#[derive(Clone)]
enum Depends {
    File(std::path::PathBuf),
    /// All that a search below this path may have looked at.
    Search(std::path::PathBuf),
}

pub(crate) fn use_of(
    agent: &Agent,
    call: &ToolCallFull,
    environment: &Environment,
    config: Option<&ForgeConfig>,
) -> Use {
    let Ok(tool) = ToolCatalog::try_from(call.clone()) else {
        return Use::Other;
    };
    if matches!(tool, ToolCatalog::Task(_)) {
        return Use::Delegation;
    }
    // In restricted mode a person is asked before each call; an agent without the
    // tool must be told so.
    let Some(config) = config.filter(|config| !config.restricted) else {
        return Use::Other;
    };
    if !ToolCatalog::contains(&call.name) || !ToolResolver::is_allowed(agent, &call.name) {
        return Use::Other;
    }
    let depends = match &tool {
        ToolCatalog::Read(read) => Depends::File(environment.cwd.join(&read.file_path)),
        ToolCatalog::FsSearch(search) => {
            let below = search.path.as_deref().unwrap_or_default();
            Depends::Search(environment.cwd.join(below))
        }
        _ => return Use::Other,
    };
    // The limits decide where a result is cut.
    let limits = json!([
        config.max_read_lines,
        config.max_line_chars,
        config.max_search_lines,
        config.max_search_result_bytes,
        config.max_file_size_bytes,
    ]);
    let parts = json!({ "call": &tool, "cwd": environment.cwd, "limits": limits });
    Use::Cached(Box::new(Cached { tool, parts, depends }))
}

impl Cached {
    /// The lookup; `None` when nobody could tell that its result is out of
    /// date. May run git.
    pub(crate) fn request(&self) -> Option<Request> {
        let request = Request::new(Kind::ToolResult)
            .version("forge", FORGE)
            .part("tool", &self.parts);
        Some(match &self.depends {
            Depends::File(path) => request.dependency(Dependency::file(path)),
            Depends::Search(path) if path.is_file() => request.dependency(Dependency::file(path)),
            Depends::Search(path) => request.dependency(tree_around(path)?).within(PATIENCE),
        })
    }

    /// The line that a person sees.
    pub(crate) fn shown(&self, environment: &Environment) -> Option<ChatResponseContent> {
        self.tool.to_content(environment)
    }

    /// Under which name the session remembers the file.
    fn file(&self) -> Option<&str> {
        match &self.tool {
            ToolCatalog::Read(read) => Some(&read.file_path),
            _ => None,
        }
    }
}

/// The git work tree that a search below `path` sees. Its state says nothing
/// about files that git ignores, so a search among those has no dependency and
/// is not cached.
pub(crate) fn tree_around(path: &Path) -> Option<Dependency> {
    let tree = Dependency::git_around(path)?;
    let Dependency::Git { path: root } = &tree else {
        return None;
    };
    if root != path {
        let ignored = Command::new("git")
            .arg("-C")
            .arg(root)
            .args(["check-ignore", "--quiet", "--"])
            .arg(path)
            .status();
        // 1: not ignored. Anything else: it is, or nobody knows.
        if ignored.ok()?.code() != Some(1) {
            return None;
        }
    }
    Some(tree)
}

/// A tool's result as it is stored.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Stored {
    output: ToolOutput,
    /// What the session remembers of the file: without it an edit would be
    /// refused, since the file was not read.
    file: Option<(String, FileOperation)>,
}

impl Stored {
    /// `None` for what is not stored: errors, images.
    pub(crate) fn of(
        result: &ToolResult,
        context: &ToolCallContext,
        call: &Cached,
    ) -> Option<Self> {
        let is_text = |value: &ToolValue| matches!(value, ToolValue::Text(_));
        if result.is_error() || !result.output.values.iter().all(is_text) {
            return None;
        }
        let file = match call.file() {
            Some(path) => {
                let known =
                    context.with_metrics(|metrics| metrics.file_operations.get(path).cloned());
                Some((path.to_owned(), known.ok().flatten()?))
            }
            None => None,
        };
        Some(Self { output: result.output.clone(), file })
    }

    pub(crate) fn replay(self, call: &ToolCallFull, context: &ToolCallContext) -> ToolResult {
        if let Some((path, operation)) = self.file {
            let _ =
                context.with_metrics(|metrics| *metrics = metrics.clone().insert(path, operation));
        }
        ToolResult::new(call.name.clone())
            .call_id(call.call_id.clone())
            .output(Ok(self.output))
    }
}
