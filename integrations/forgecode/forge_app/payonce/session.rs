//! What is remembered of one chat, and its dealings with the server. All of it
//! may wait for the server, within the client's bounds.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use forge_domain::{ConversationId, Provider, ToolResult, Usage};
use payonce::{
    Client, Commit, Committed, Dependency, Hit, Invalidate, Lookup, ReadSet, Request, Run, Ticket,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

use super::answer::Answer;
use super::tools::{Cached, Stored};

pub(crate) struct Session {
    client: Client,
    run: Arc<Run>,
    parent: Option<Arc<Session>>,
    pub(crate) conversation: ConversationId,
    /// Who answers: the same model elsewhere is another one.
    pub(crate) provider: Value,
    pub(crate) semantic: Option<bool>,
    reads: ReadSet,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    opened: bool,
    /// A sub-agent's first request, and the ticket for its report.
    opening: Option<(Request, Option<Ticket>)>,
    first_usage: Option<Usage>,
    /// All turns together: what a hit on the report spares.
    spent: Usage,
    /// The loop's last answer.
    last: Option<Answer>,
    /// Requests to the model so far, and what was stored for each.
    asked: HashMap<u64, Option<String>>,
    /// Something was done that the read set does not account for.
    tainted: bool,
    /// Lookups that hit as long as nothing of what was read has changed.
    proofs: Vec<(Arc<Run>, Request)>,
    /// Runs of sub-agents that ended well; they become visible with this one.
    kept: Vec<Arc<Run>>,
}

/// A model's answer that is being made.
pub(crate) struct Work {
    ticket: Ticket,
    digest: u64,
    in_loop: bool,
}

/// A sub-agent's report as it is stored.
#[derive(Serialize, Deserialize)]
struct Report {
    answer: Answer,
    reads: Vec<Dependency>,
}

impl Session {
    pub(crate) fn new(
        client: &Client,
        parent: Option<Arc<Session>>,
        conversation: ConversationId,
        provider: &Provider<Url>,
        semantic: Option<bool>,
    ) -> Self {
        Session {
            client: client.clone(),
            run: Arc::new(client.run()),
            parent,
            conversation,
            provider: json!({ "id": provider.id, "url": provider.url }),
            semantic,
            reads: ReadSet::new(),
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From here on no report is stored.
    pub(crate) fn taint(&self) {
        self.state().tainted = true;
    }

    /// A delegation that failed taints: nobody can tell what it depended on.
    pub(crate) fn note(&self, result: ToolResult) -> ToolResult {
        if result.is_error() {
            self.taint();
        }
        result
    }

    /// Whether this is the request that a sub-agent's run begins with.
    pub(crate) fn opens(&self) -> bool {
        let first = !std::mem::replace(&mut self.state().opened, true);
        first && self.parent.is_some()
    }

    pub(crate) fn find_report(&self, request: Request) -> Option<Answer> {
        let lookup = self.run.lookup(&request);
        if let Lookup::Stale(stale) = &lookup {
            tracing::debug!(changed = ?stale.changed, "Payonce: a sub-agent's report is out of date");
        }
        match lookup.hit_or_ticket() {
            Ok(hit) => {
                let report: Report = hit.parse()?;
                tell("subagent", &hit);
                self.reads.extend(report.reads);
                let mut state = self.state();
                state.last = Some(report.answer.clone());
                state.opening = Some((request, None));
                Some(report.answer)
            }
            Err(ticket) => {
                self.state().opening = Some((request, Some(ticket)));
                None
            }
        }
    }

    /// The stored answer, or the right to make one. `None`: this one is left
    /// alone.
    pub(crate) fn find_answer(
        &self,
        request: &Request,
        in_loop: bool,
    ) -> Option<Result<Answer, Work>> {
        let mut hasher = DefaultHasher::new();
        serde_json::to_string(request).ok()?.hash(&mut hasher);
        let digest = hasher.finish();
        let before = self.state().asked.insert(digest, None);
        if let Some(Some(entry)) = before {
            // The same once more in one chat: the first answer was of no use, so it must
            // not be given to anybody.
            let _ = self.client.invalidate(&Invalidate::Entry(entry));
        }
        let answer = match self.run.lookup(request).hit_or_ticket() {
            Ok(hit) => {
                self.state().asked.insert(digest, Some(hit.entry.clone()));
                let answer: Answer = hit.parse()?;
                tell("llm", &hit);
                self.heard(&answer, in_loop);
                Ok(answer)
            }
            Err(ticket) => Err(Work { ticket, digest, in_loop }),
        };
        Some(answer)
    }

    fn heard(&self, answer: &Answer, in_loop: bool) {
        if in_loop {
            let mut state = self.state();
            state.first_usage = state.first_usage.or(answer.usage());
            if let Some(usage) = answer.usage() {
                state.spent = state.spent.accumulate(&usage);
            }
            state.last = Some(answer.clone());
        }
    }

    pub(crate) fn keep_answer(&self, answer: Answer, work: Work) {
        self.heard(&answer, work.in_loop);
        if !answer.is_whole() {
            return;
        }
        let commit = Commit::success(&answer).usage(answer.usage().map(cost));
        if let Ok(Committed::Stored { entry, .. }) = self.run.commit(work.ticket, commit) {
            self.state().asked.insert(work.digest, Some(entry));
        }
    }

    /// The stored result, or the ticket for one. `None`: it cannot be cached.
    pub(crate) fn find_result(&self, call: &Cached) -> Option<Result<Stored, Ticket>> {
        let request = call.request()?;
        match self.run.lookup(&request).hit_or_ticket() {
            Ok(hit) => {
                let stored: Stored = hit.parse()?;
                tell("tool_result", &hit);
                self.read(request);
                Some(Ok(stored))
            }
            Err(ticket) => Some(Err(ticket)),
        }
    }

    pub(crate) fn keep_result(&self, call: &Cached, ticket: Ticket, stored: &Stored) {
        let committed = self.run.commit(ticket, stored);
        match (committed, call.request()) {
            (Ok(Committed::Stored { .. }), Some(request)) => self.read(request),
            // Without an entry nobody can prove later that what was read is still the same.
            _ => self.taint(),
        }
    }

    fn read(&self, request: Request) {
        self.reads
            .extend(request.named_dependencies().iter().cloned());
        self.state().proofs.push((self.run.clone(), request));
    }

    /// The chat is over.
    pub(crate) fn finish(&self, went_well: bool) {
        let ended = self
            .state()
            .last
            .as_ref()
            .is_some_and(Answer::ends_the_chat);
        if !(went_well && ended) {
            let _ = self.run.abort();
            for run in std::mem::take(&mut self.state().kept) {
                let _ = run.abort();
            }
            if let Some(parent) = &self.parent {
                parent.taint();
            }
            return;
        }
        let Some(parent) = &self.parent else {
            for run in std::mem::take(&mut self.state().kept) {
                let _ = run.publish();
            }
            let _ = self.run.publish();
            return;
        };
        let opening = self.state().opening.take();
        let proof = match opening {
            Some((request, Some(ticket))) => self.keep_report(request, ticket),
            Some((request, None)) => Some(request),
            None => None,
        };
        let mut above = parent.state();
        match proof {
            Some(request) => {
                above.proofs.push((self.run.clone(), request));
                parent.reads.extend(self.reads.dependencies());
            }
            None => above.tainted = true,
        }
        above.kept.extend(std::mem::take(&mut self.state().kept));
        above.kept.push(self.run.clone());
    }

    /// Stores a sub-agent's report with its read set; its request if it was
    /// stored.
    ///
    /// The server notes the state of the dependencies at this commit, which is
    /// later than the reading. So afterwards everything that was read is
    /// looked up once more: as long as each of these lookups hits, nothing has
    /// changed since before it was read.
    fn keep_report(&self, request: Request, ticket: Ticket) -> Option<Request> {
        let (answer, proofs, spent) = {
            let state = self.state();
            if state.tainted {
                return None;
            }
            let answer = state.last.clone()?.with_usage(state.first_usage);
            (answer, state.proofs.clone(), state.spent)
        };
        let reads = self.reads.dependencies();
        let commit = Commit::success(Report { answer, reads: reads.clone() })
            .dependencies(reads)
            .usage(cost(spent));
        let Ok(Committed::Stored { entry, .. }) = self.run.commit(ticket, commit) else {
            return None;
        };
        let unchanged = proofs
            .iter()
            .all(|(run, request)| run.lookup(request).is_hit());
        if unchanged {
            return Some(request);
        }
        tracing::debug!(
            "Payonce: a sub-agent's report is not kept, what it read has changed meanwhile"
        );
        let _ = self.client.invalidate(&Invalidate::Entry(entry));
        None
    }
}

/// As the server reads it.
fn cost(usage: Usage) -> Value {
    let mut cost = json!({
        "prompt_tokens": *usage.prompt_tokens,
        "completion_tokens": *usage.completion_tokens,
        "prompt_tokens_details": { "cached_tokens": *usage.cached_tokens },
    });
    if let Some(usd) = usage.cost {
        cost["cost_usd"] = json!(usd);
    }
    cost
}

/// At a level that goes to the log file and not to ForgeCode's telemetry.
fn tell(kind: &str, hit: &Hit) {
    let age_s = hit.age.as_secs();
    tracing::debug!(kind, entry = hit.entry, age_s, similarity = ?hit.similarity, "Payonce hit");
}
