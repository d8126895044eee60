use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::Deserialize;
use serde_json::Value;

use crate::client::Client;
use crate::error::{Error, Result};
use crate::ticket::Ticket;

/// What a lookup found.
#[derive(Debug)]
pub enum Lookup {
    /// A stored value.
    Hit(Hit),
    /// None. Also when there is no server, or it was too slow: [`Miss::reason`] tells.
    Miss(Miss),
    /// One that must not be given, since what it was made from has changed.
    Stale(Stale),
}

impl Lookup {
    /// The hit, or the ticket for making the value.
    pub fn hit_or_ticket(self) -> std::result::Result<Hit, Ticket> {
        match self {
            Lookup::Hit(hit) => Ok(hit),
            Lookup::Miss(miss) => Err(miss.ticket),
            Lookup::Stale(stale) => Err(stale.ticket),
        }
    }

    /// Whether it is a hit.
    pub fn is_hit(&self) -> bool {
        matches!(self, Lookup::Hit(_))
    }

    pub(crate) fn failed(client: &Client, error: Error) -> Self {
        let reason = Reason::Unavailable(error);
        Lookup::Miss(Miss { ticket: Ticket::none(client), reason, key: None, in_flight: false, explain: None })
    }

    pub(crate) fn read(client: &Client, run: Option<&str>, body: &[u8]) -> Result<Self> {
        let answer: Answer = serde_json::from_slice(body).map_err(|error| Error::protocol(error.to_string()))?;
        let ticket = |id: Option<String>| match id {
            Some(id) => Ok(Ticket::new(client, id, run)),
            None => Err(Error::protocol("a lookup's answer without a ticket")),
        };
        Ok(match answer.status.as_str() {
            "hit" => Lookup::Hit(Hit {
                value: answer.value,
                entry: answer.entry,
                key: answer.key.unwrap_or_default(),
                age: Duration::try_from_secs_f64(answer.age).unwrap_or_default(),
                versions: answer.versions,
                provenance: answer.provenance,
                pending: answer.pending,
                similarity: answer.similarity,
                tags: answer.tags,
            }),
            "miss" => Lookup::Miss(Miss {
                ticket: ticket(answer.ticket)?,
                reason: Reason::from_word(&answer.reason),
                key: answer.key,
                in_flight: answer.in_flight,
                explain: answer.explain,
            }),
            "stale" => Lookup::Stale(Stale {
                ticket: ticket(answer.ticket)?,
                changed: answer.stale,
                key: answer.key,
                explain: answer.explain,
            }),
            other => return Err(Error::protocol(format!("a lookup's answer with status '{other}'"))),
        })
    }
}

/// A stored value.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Hit {
    /// As it was committed.
    pub value: Value,
    /// The entry's id, as [`Invalidate::Entry`](crate::Invalidate::Entry) takes it.
    pub entry: String,
    /// Its key: `plan:v1:u-…:…`.
    pub key: String,
    /// How long ago it was committed.
    pub age: Duration,
    /// The version tags that it was made with.
    pub versions: BTreeMap<String, String>,
    /// Where it comes from: `created`, `run` and more.
    pub provenance: Value,
    /// It is the own run's, and not published yet.
    pub pending: bool,
    /// Found by meaning, this near; `None` for an exact hit.
    pub similarity: Option<f64>,
    /// Tags that the server computed, such as `tools`.
    pub tags: BTreeMap<String, String>,
}

impl Hit {
    /// The value as a type; `None` when it is of another shape.
    pub fn parse<T: DeserializeOwned>(&self) -> Option<T> {
        T::deserialize(&self.value).ok()
    }
}

/// There is no value.
#[derive(Debug)]
#[non_exhaustive]
pub struct Miss {
    /// For committing the value. Dropping it gives the work up.
    pub ticket: Ticket,
    /// Why.
    pub reason: Reason,
    /// The key that was looked up.
    pub key: Option<String>,
    /// Another caller is making the same value now.
    pub in_flight: bool,
    /// When the request asked for it.
    pub explain: Option<Explain>,
}

/// There is a value, but what it was made from has changed.
#[derive(Debug)]
#[non_exhaustive]
pub struct Stale {
    /// For committing a new value. Dropping it gives the work up.
    pub ticket: Ticket,
    /// What has changed.
    pub changed: Vec<Changed>,
    /// The key that was looked up.
    pub key: Option<String>,
    /// When the request asked for it.
    pub explain: Option<Explain>,
}

/// Why a lookup misses.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// Nothing like it was ever stored.
    Cold,
    /// Stored with other version tags.
    Version,
    /// Stored in another scope.
    Scope,
    /// It was too old.
    Expired,
    /// The nearest entry differs in some part.
    Parts,
    /// The lookup could not be made; the ticket stores nothing.
    Unavailable(Error),
    /// A reason that this version does not know.
    Other(String),
}

impl Reason {
    fn from_word(word: &str) -> Self {
        match word {
            "cold" => Reason::Cold,
            "version" => Reason::Version,
            "scope" => Reason::Scope,
            "expired" => Reason::Expired,
            "parts" => Reason::Parts,
            other => Reason::Other(other.to_owned()),
        }
    }
}

/// A dependency that has changed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Changed {
    /// `file`, `dir`, `git`, `value` or `tool`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Of a file, a directory or a work tree.
    pub path: Option<PathBuf>,
    /// Of a value or a tool.
    pub name: Option<String>,
}

/// What differs from the nearest entry.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Explain {
    /// The nearest entry's id.
    pub nearest: Option<String>,
    /// What differs, as in `parts.tools`, `versions.kb`, `scope`.
    #[serde(default)]
    pub changed: Vec<String>,
}

/// What became of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Committed {
    /// It is stored; in a run, for that run alone until it is published.
    Stored {
        /// The entry's id.
        entry: String,
        /// Its key.
        key: String,
    },
    /// It is not: `outcome`, `dependency` (changed meanwhile), `secret`, …
    Dropped {
        /// Why.
        reason: String,
    },
}

impl Committed {
    /// Whether it was stored.
    pub fn is_stored(&self) -> bool {
        matches!(self, Committed::Stored { .. })
    }

    pub(crate) fn read(body: &[u8]) -> Result<Self> {
        let answer: Answer = serde_json::from_slice(body).map_err(|error| Error::protocol(error.to_string()))?;
        match answer.status.as_str() {
            "stored" | "pending" => {
                Ok(Committed::Stored { entry: answer.entry, key: answer.key.unwrap_or_default() })
            }
            "dropped" => Ok(Committed::Dropped { reason: answer.reason }),
            other => Err(Error::protocol(format!("a commit's answer with status '{other}'"))),
        }
    }
}

/// The count that an answer has under one name.
pub(crate) fn count(body: &[u8], name: &str) -> Result<u64> {
    let answer: Value = serde_json::from_slice(body).map_err(|error| Error::protocol(error.to_string()))?;
    let found = answer.get(name).and_then(Value::as_u64);
    found.ok_or_else(|| Error::protocol(format!("an answer without the number '{name}'")))
}

/// All fields that answers to lookup and commit have.
#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Answer {
    status: String,
    value: Value,
    entry: String,
    key: Option<String>,
    age: f64,
    versions: BTreeMap<String, String>,
    provenance: Value,
    pending: bool,
    similarity: Option<f64>,
    tags: BTreeMap<String, String>,
    ticket: Option<String>,
    reason: String,
    in_flight: bool,
    stale: Vec<Changed>,
    explain: Option<Explain>,
}

/// What the server counts, by layer or kind.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct Stats {
    /// By layer (`exact`, …) or kind (`tool_result`, …).
    #[serde(default)]
    pub layers: BTreeMap<String, LayerStats>,
    /// All else that the server tells.
    #[serde(flatten)]
    pub rest: BTreeMap<String, Value>,
}

/// One layer's or kind's counts.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct LayerStats {
    /// Lookups that were answered.
    pub hits: u64,
    /// Lookups that were not.
    pub misses: u64,
    /// How many are stored.
    pub entries: u64,
    /// How much is stored.
    pub bytes: u64,
    /// Misses by their reason.
    pub reasons: BTreeMap<String, Value>,
    /// What else this layer tells.
    #[serde(flatten)]
    pub rest: BTreeMap<String, Value>,
}
