//! A model's answer as it is stored: what came over the stream, in a form that
//! can be written down.

use std::sync::Arc;

use forge_domain::{
    BoxStream, ChatCompletionMessage, Content, FinishReason, MessagePhase, Reasoning,
    ReasoningFull, ToolCall, Usage,
};
use futures::{StreamExt, stream};
use serde::{Deserialize, Serialize};

use super::blocking;
use super::session::{Session, Work};

/// The stream's messages, in order. Tool-call ids, signatures and usage are
/// replayed as they came.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Answer {
    deltas: Vec<Delta>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Delta {
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<Words>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<Words>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasoning_details: Vec<Details>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<ToolCall>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finish_reason: Option<FinishReason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Usage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thought_signature: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phase: Option<MessagePhase>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Words {
    Part(String),
    Full(String),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Details {
    Part(Vec<ReasoningFull>),
    Full(Vec<ReasoningFull>),
}

impl Answer {
    /// Adds what came next. Neighbouring pieces of text become one.
    pub(crate) fn push(&mut self, message: &ChatCompletionMessage) {
        let delta = Delta::from(message);
        if let (Some(Words::Part(text)), Some(Words::Part(more))) = (
            self.deltas.last_mut().and_then(Delta::only_text),
            delta.clone().only_text().cloned(),
        ) {
            text.push_str(&more);
        } else if delta != Delta::default() {
            self.deltas.push(delta);
        }
    }

    fn finish(&self) -> Option<&FinishReason> {
        self.deltas
            .iter()
            .rev()
            .find_map(|delta| delta.finish_reason.as_ref())
    }

    fn calls_tools(&self) -> bool {
        self.deltas.iter().any(|delta| !delta.tool_calls.is_empty())
    }

    /// Whether it came to its end, and says anything. One that was cut short,
    /// or refused, is not kept.
    pub(crate) fn is_whole(&self) -> bool {
        let says = self.deltas.iter().any(|delta| delta.content.is_some());
        matches!(
            self.finish(),
            Some(FinishReason::Stop | FinishReason::ToolCalls)
        ) && (says || self.calls_tools())
    }

    /// Whether the agent is done after it.
    pub(crate) fn ends_the_chat(&self) -> bool {
        self.finish() == Some(&FinishReason::Stop) && !self.calls_tools()
    }

    pub(crate) fn usage(&self) -> Option<Usage> {
        self.deltas.iter().rev().find_map(|delta| delta.usage)
    }

    /// With another request's usage: a report stands for the first request of
    /// its run, not for the last.
    pub(crate) fn with_usage(mut self, usage: Option<Usage>) -> Self {
        for delta in &mut self.deltas {
            delta.usage = None;
        }
        self.deltas.push(Delta { usage, ..Delta::default() });
        self
    }

    pub(crate) fn stream(self) -> BoxStream<ChatCompletionMessage, anyhow::Error> {
        Box::pin(stream::iter(
            self.deltas
                .into_iter()
                .map(|delta| Ok(ChatCompletionMessage::from(delta))),
        ))
    }
}

impl Delta {
    /// Its text, when it is nothing else.
    fn only_text(&mut self) -> Option<&mut Words> {
        let content = self.content.take();
        let is_only = *self == Delta::default();
        self.content = content;
        self.content.as_mut().filter(|_| is_only)
    }
}

impl From<&ChatCompletionMessage> for Delta {
    fn from(message: &ChatCompletionMessage) -> Self {
        let details = |details: &Reasoning| match details {
            Reasoning::Part(parts) => Details::Part(parts.clone()),
            Reasoning::Full(full) => Details::Full(full.clone()),
        };
        Delta {
            content: message.content.as_ref().and_then(Words::of),
            reasoning: message.reasoning.as_ref().and_then(Words::of),
            reasoning_details: message
                .reasoning_details
                .iter()
                .flatten()
                .map(details)
                .collect(),
            tool_calls: message.tool_calls.clone(),
            finish_reason: message.finish_reason.clone(),
            usage: message.usage,
            thought_signature: message.thought_signature.clone(),
            phase: message.phase,
        }
    }
}

impl From<Delta> for ChatCompletionMessage {
    fn from(delta: Delta) -> Self {
        let details = |details: Details| match details {
            Details::Part(parts) => Reasoning::Part(parts),
            Details::Full(full) => Reasoning::Full(full),
        };
        let all: Vec<_> = delta.reasoning_details.into_iter().map(details).collect();
        ChatCompletionMessage {
            content: delta.content.map(Words::content),
            reasoning: delta.reasoning.map(Words::content),
            reasoning_details: (!all.is_empty()).then_some(all),
            tool_calls: delta.tool_calls,
            finish_reason: delta.finish_reason,
            usage: delta.usage,
            thought_signature: delta.thought_signature,
            phase: delta.phase,
        }
    }
}

impl Words {
    fn of(content: &Content) -> Option<Self> {
        let text = content.as_str().to_owned();
        (!text.is_empty()).then_some(match content.is_part() {
            true => Words::Part(text),
            false => Words::Full(text),
        })
    }

    fn content(self) -> Content {
        match self {
            Words::Part(text) => Content::part(text),
            Words::Full(text) => Content::full(text),
        }
    }
}

/// Passes a stream through as it comes; at its end the answer is kept. A stream
/// that fails, or that nobody reads to its end, gives its ticket back.
pub(crate) fn record(
    stream: BoxStream<ChatCompletionMessage, anyhow::Error>,
    session: Arc<Session>,
    work: Work,
) -> BoxStream<ChatCompletionMessage, anyhow::Error> {
    let state = Some((stream, Answer::default(), session, work));
    Box::pin(stream::unfold(state, |state| async move {
        let (mut stream, mut answer, session, work) = state?;
        match stream.next().await {
            Some(Ok(message)) => {
                answer.push(&message);
                Some((Ok(message), Some((stream, answer, session, work))))
            }
            Some(Err(error)) => Some((Err(error), None)),
            None => {
                blocking(move || session.keep_answer(answer, work)).await;
                None
            }
        }
    }))
}
