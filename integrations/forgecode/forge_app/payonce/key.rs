//! What makes two requests the same one.

use std::collections::HashMap;
use std::time::Duration;

use forge_domain::{Context, ContextMessage, ConversationId, ModelId, Role, ToolCallId, ToolValue};
use payonce::{Kind, Request};

use super::FORGE;
use super::session::Session;

/// The server may have to read a whole work tree, which takes long the first
/// time; a run of a sub-agent takes longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);

/// All that the model is sent.
pub(crate) fn llm(session: &Session, model: &ModelId, context: &Context) -> Request {
    request(Kind::Llm, session, model).part("request", without_incidentals(context.clone()))
}

/// All that a sub-agent is sent first. Its task is a part of its own, so that
/// the same task in other words can be found by its meaning, while all else
/// must be equal.
pub(crate) fn subagent(session: &Session, model: &ModelId, context: &Context) -> Request {
    let mut context = without_incidentals(context.clone());
    let asked = context
        .messages
        .iter()
        .rposition(|entry| entry.message.has_role(Role::User));
    let task = asked.map(|index| context.messages.remove(index));
    let task = task
        .as_ref()
        .and_then(|entry| entry.message.content())
        .unwrap_or_default();
    let request = request(Kind::Subagent, session, model)
        .part("task", task)
        .part("request", &context)
        .within(PATIENCE);
    match session.semantic {
        Some(on) => request.semantic(on),
        None => request,
    }
}

fn request(kind: Kind, session: &Session, model: &ModelId) -> Request {
    Request::new(kind)
        .version("forge", FORGE)
        .part("provider", &session.provider)
        .part("model", model)
}

/// Without what differs between sessions and is no part of the question: whose
/// conversation it is, what earlier turns cost, and the names of tool calls,
/// which become their numbers.
fn without_incidentals(mut context: Context) -> Context {
    context.conversation_id = None;
    context.initiator = None;
    let mut numbers: HashMap<ToolCallId, usize> = HashMap::new();
    let mut number = |id: &mut Option<ToolCallId>| {
        if let Some(id) = id {
            let next = numbers.len();
            *id = ToolCallId::new(numbers.entry(id.clone()).or_insert(next));
        }
    };
    for entry in &mut context.messages {
        entry.usage = None;
        match &mut entry.message {
            ContextMessage::Text(text) => {
                text.raw_content = None;
                for call in text.tool_calls.iter_mut().flatten() {
                    number(&mut call.call_id);
                }
            }
            ContextMessage::Tool(result) => {
                number(&mut result.call_id);
                for value in &mut result.output.values {
                    if let ToolValue::AI { conversation_id, .. } = value {
                        *conversation_id = ConversationId::default();
                    }
                }
            }
            ContextMessage::Image(_) => {}
        }
    }
    context
}
