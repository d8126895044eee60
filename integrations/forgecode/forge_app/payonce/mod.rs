//! Payonce in the agent's loop: a decorator of [`AgentService`] that answers
//! from the cache what was answered before.
//!
//! What is cached, and when it becomes visible:
//! - a call of the model, by all that is sent (`llm`);
//! - `read` and `fs_search`, with the file or work tree that they depend on
//!   (`tool_result`);
//! - a whole run of a sub-agent such as SAGE, by its first request, with all
//!   that it read (`subagent`).
//!
//! Everything stays pending inside the session's run until the agent has ended
//! well; a failure or an interrupt deletes it. Without a server, or with
//! `payonce.enabled = false`, every call goes through untouched.

mod answer;
mod key;
mod session;
#[cfg(test)]
mod tests;
mod tools;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use forge_config::{ForgeConfig, PayonceConfig};
use forge_domain::{
    Agent, ChatCompletionMessage, ConfigOperation, Context, Conversation, ConversationId,
    Environment, ModelId, Provider, ProviderId, ResultStream, ToolCallContext, ToolCallFull,
    ToolResult,
};
use payonce::{Client, Request};
use url::Url;

use self::answer::Answer;
use self::session::Session;
use self::tools::{Cached, Use};
use crate::{AgentService, EnvironmentInfra};

/// The commit of ForgeCode that this is made for. Answers of one are not given
/// in another.
pub(crate) const FORGE: &str = "6ed5d37";

tokio::task_local! {
    /// The session whose tool call is being made: a sub-agent that starts meanwhile belongs to it.
    static PARENT: Arc<Session>;
}

/// An agent's services with the cache in front. One for each chat.
#[derive(Clone)]
pub struct CachedAgent<S> {
    inner: Arc<S>,
    /// `None`: the cache is off.
    session: Option<Arc<Session>>,
}

impl<S: EnvironmentInfra<Config = ForgeConfig>> CachedAgent<S> {
    /// Made where a chat begins; inside a tool call of another one it is that
    /// one's sub-agent.
    pub fn new(
        inner: Arc<S>,
        conversation: ConversationId,
        provider: &Provider<Url>,
        config: &ForgeConfig,
    ) -> Self {
        let session = client(config.payonce.as_ref()).map(|client| {
            let parent = PARENT.try_with(Arc::clone).ok();
            let semantic = config.payonce.as_ref().and_then(|payonce| payonce.semantic);
            Arc::new(Session::new(
                &client,
                parent,
                conversation,
                provider,
                semantic,
            ))
        });
        Self { inner, session }
    }

    /// The chat is over. Only when it went well, and the model itself had ended
    /// it, becomes visible what it stored.
    pub async fn finish(&self, went_well: bool) {
        if let Some(session) = self.session.clone() {
            blocking(move || session.finish(went_well)).await;
        }
    }

    /// A sub-agent's report to its very first request, if the same one was
    /// asked for before.
    async fn report(&self, session: &Arc<Session>, request: Request) -> Option<Answer> {
        let session = session.clone();
        blocking(move || session.find_report(request))
            .await
            .flatten()
    }
}

#[async_trait::async_trait]
impl<S> AgentService for CachedAgent<S>
where
    S: AgentService + EnvironmentInfra<Config = ForgeConfig>,
{
    async fn chat_agent(
        &self,
        id: &ModelId,
        context: Context,
        provider_id: Option<ProviderId>,
    ) -> ResultStream<ChatCompletionMessage, anyhow::Error> {
        let Some(session) = &self.session else {
            return self.inner.chat_agent(id, context, provider_id).await;
        };
        // Titles are made beside the loop, with a conversation of their own.
        let in_loop = context.conversation_id == Some(session.conversation);
        if in_loop && session.opens() {
            let request = key::subagent(session, id, &context);
            if let Some(report) = self.report(session, request).await {
                return Ok(report.stream());
            }
        }
        let request = key::llm(session, id, &context);
        let asking = session.clone();
        let found = blocking(move || asking.find_answer(&request, in_loop))
            .await
            .flatten();
        if let Some(Ok(answer)) = found {
            return Ok(answer.stream());
        }
        let stream = self.inner.chat_agent(id, context, provider_id).await?;
        Ok(match found {
            Some(Err(work)) => answer::record(stream, session.clone(), work),
            _ => stream,
        })
    }

    async fn call(
        &self,
        agent: &Agent,
        context: &ToolCallContext,
        call: ToolCallFull,
    ) -> ToolResult {
        let Some(session) = &self.session else {
            return self.inner.call(agent, context, call).await;
        };
        let environment = self.inner.get_environment();
        let config = self.inner.get_config().ok();
        match tools::use_of(agent, &call, &environment, config.as_ref()) {
            Use::Cached(cached) => {
                self.cached_call(session, agent, context, call, *cached)
                    .await
            }
            Use::Delegation => {
                let result = PARENT.scope(session.clone(), self.inner.call(agent, context, call));
                session.note(result.await)
            }
            Use::Other => {
                // It may read or change anything: nobody can tell when a report that it led to
                // is out of date.
                session.taint();
                PARENT
                    .scope(session.clone(), self.inner.call(agent, context, call))
                    .await
            }
        }
    }

    async fn update(&self, conversation: Conversation) -> anyhow::Result<()> {
        self.inner.update(conversation).await
    }
}

impl<S> CachedAgent<S>
where
    S: AgentService + EnvironmentInfra<Config = ForgeConfig>,
{
    async fn cached_call(
        &self,
        session: &Arc<Session>,
        agent: &Agent,
        context: &ToolCallContext,
        call: ToolCallFull,
        cached: Cached,
    ) -> ToolResult {
        let (asking, wanted) = (session.clone(), cached.clone());
        let found = blocking(move || asking.find_result(&wanted))
            .await
            .flatten();
        let ticket = match found {
            Some(Ok(stored)) => {
                // What a person and the later tools see is as if it had been executed.
                if let Some(content) = cached.shown(&self.inner.get_environment()) {
                    let _ = context.send(content).await;
                }
                return stored.replay(&call, context);
            }
            Some(Err(ticket)) => ticket,
            None => {
                session.taint();
                return self.inner.call(agent, context, call).await;
            }
        };
        let result = self.inner.call(agent, context, call).await;
        match tools::Stored::of(&result, context, &cached) {
            Some(stored) => {
                let session = session.clone();
                blocking(move || session.keep_result(&cached, ticket, &stored)).await;
            }
            None => session.taint(),
        }
        result
    }
}

impl<S: EnvironmentInfra<Config = ForgeConfig>> EnvironmentInfra for CachedAgent<S> {
    type Config = ForgeConfig;

    fn get_env_var(&self, key: &str) -> Option<String> {
        self.inner.get_env_var(key)
    }

    fn get_env_vars(&self) -> BTreeMap<String, String> {
        self.inner.get_env_vars()
    }

    fn get_environment(&self) -> Environment {
        self.inner.get_environment()
    }

    fn get_config(&self) -> anyhow::Result<ForgeConfig> {
        self.inner.get_config()
    }

    async fn update_environment(&self, ops: Vec<ConfigOperation>) -> anyhow::Result<()> {
        self.inner.update_environment(ops).await
    }
}

/// One client for all chats of the process, as long as the settings stay the
/// same.
fn client(settings: Option<&PayonceConfig>) -> Option<Client> {
    static LAST: Mutex<Option<(PayonceConfig, Client)>> = Mutex::new(None);
    let settings = settings.filter(|settings| settings.enabled)?;
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, client)) = last.as_ref().filter(|(made_for, _)| made_for == settings) {
        return Some(client.clone());
    }
    let mut builder = Client::builder();
    if let Some(url) = &settings.url {
        builder = builder.url(url);
    }
    if let Some(socket) = &settings.socket {
        builder = builder.socket(PathBuf::from(socket));
    }
    let client = builder.build_or_off();
    if let Some(why) = client.off_because() {
        tracing::warn!(why, "Payonce is off");
    }
    *last = Some((settings.clone(), client.clone()));
    Some(client)
}

/// Runs a bounded wait where it holds up no other task. `None` when the process
/// is ending.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}
