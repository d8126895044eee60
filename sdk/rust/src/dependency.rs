use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

/// What a stored value was made from. The server checks it at every hit: once it has changed the entry is stale.
///
/// Paths are made absolute, as seen from the current directory. Name a dependency in the lookup where you know it:
/// when it changes between lookup and commit, nothing is stored.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Dependency {
    /// The content of one file.
    File {
        /// Its absolute path.
        path: PathBuf,
    },
    /// The names below a directory.
    Dir {
        /// Its absolute path.
        path: PathBuf,
    },
    /// A git work tree: HEAD and the content of changed and untracked files.
    Git {
        /// The absolute path of the work tree.
        path: PathBuf,
    },
    /// An epoch or digest that the caller knows: another value under the same name makes the entry stale.
    Value {
        /// What it is the value of.
        name: String,
        /// The value now.
        value: String,
    },
}

impl Dependency {
    /// The content of one file.
    pub fn file(path: impl AsRef<Path>) -> Self {
        Dependency::File { path: absolute(path.as_ref()) }
    }

    /// The names below a directory.
    pub fn dir(path: impl AsRef<Path>) -> Self {
        Dependency::Dir { path: absolute(path.as_ref()) }
    }

    /// The state of a git work tree.
    pub fn git(path: impl AsRef<Path>) -> Self {
        Dependency::Git { path: absolute(path.as_ref()) }
    }

    /// The git work tree that `path` lies in; `None` outside of any. Needs no git.
    ///
    /// ```
    /// assert_eq!(payonce::Dependency::git_around("/proc/self"), None);
    /// ```
    pub fn git_around(path: impl AsRef<Path>) -> Option<Self> {
        let path = absolute(path.as_ref());
        let root = path.ancestors().find(|folder| folder.join(".git").exists())?;
        Some(Dependency::Git { path: root.to_path_buf() })
    }

    /// A value that the caller knows, such as a knowledge base's epoch.
    pub fn value(name: impl Into<String>, value: impl Into<String>) -> Self {
        Dependency::Value { name: name.into(), value: value.into() }
    }
}

/// With `..` in it, only the disk knows which file it means (of a link's target `..` leads elsewhere). A path that cannot
/// be made absolute stays as it is; the server refuses it, and nothing is stored.
fn absolute(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    match path.components().any(|part| part == Component::ParentDir) {
        true => path.canonicalize().unwrap_or(path),
        false => path,
    }
}

/// Gathers what a piece of work read, from any thread, for the commit of its result.
///
/// ```
/// use payonce::{Dependency, ReadSet};
///
/// let read = ReadSet::new();
/// read.add(Dependency::file("/etc/hosts"));
/// read.add(Dependency::file("/etc/hosts"));
/// assert_eq!(read.dependencies(), vec![Dependency::file("/etc/hosts")]);
/// ```
#[derive(Debug, Default)]
pub struct ReadSet(Mutex<BTreeSet<Dependency>>);

impl ReadSet {
    /// An empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one; twice is once.
    pub fn add(&self, dependency: Dependency) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(dependency);
    }

    /// Adds several.
    pub fn extend(&self, dependencies: impl IntoIterator<Item = Dependency>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(dependencies);
    }

    /// All so far, in a fixed order.
    pub fn dependencies(&self) -> Vec<Dependency> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn is_written_as_the_api_has_it() {
        let written = serde_json::to_value([
            Dependency::file("/a/b"),
            Dependency::dir("/a"),
            Dependency::git("/a"),
            Dependency::value("kb", "2026-11"),
        ])
        .unwrap();
        let expected = json!([
            {"type": "file", "path": "/a/b"},
            {"type": "dir", "path": "/a"},
            {"type": "git", "path": "/a"},
            {"type": "value", "name": "kb", "value": "2026-11"},
        ]);
        assert_eq!(written, expected);
    }

    #[test]
    fn relative_paths_become_absolute() {
        let here = std::env::current_dir().unwrap();
        assert_eq!(Dependency::file("x"), Dependency::File { path: here.join("x") });
        assert_eq!(Dependency::file("./x"), Dependency::File { path: here.join("x") });
        assert_eq!(Dependency::file("/usr/../etc"), Dependency::File { path: "/etc".into() });
    }

    #[test]
    fn finds_the_work_tree_around_a_path() {
        let root = std::env::temp_dir().join(format!("payonce-git-{}", std::process::id()));
        std::fs::create_dir_all(root.join(".git")).unwrap();
        std::fs::create_dir_all(root.join("src/deep")).unwrap();
        let found = Dependency::git_around(root.join("src/deep/none.rs"));
        std::fs::remove_dir_all(&root).unwrap();
        assert_eq!(found, Some(Dependency::git(&root)));
    }
}
