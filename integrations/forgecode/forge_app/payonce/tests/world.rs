//! One project, a scripted model, tools that really read, and chats that go as
//! the orchestrator's do.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use forge_config::{ForgeConfig, PayonceConfig};
use forge_domain::{
    Agent, AgentId, ChatCompletionMessage, ChatCompletionMessageFull, ConfigOperation, Content,
    Context, ContextMessage, Conversation, ConversationId, Environment, FileOperation,
    FinishReason, Metrics, ModelId, Provider, ProviderId, ResultStream, ResultStreamExt,
    TokenCount, ToolCallArguments, ToolCallContext, ToolCallFull, ToolCallId, ToolCatalog,
    ToolKind, ToolName, ToolOutput, ToolResult, Usage,
};
use serde_json::{Value, json};
use url::Url;

use super::super::CachedAgent;
use super::server::Server;
use crate::{AgentService, EnvironmentInfra};

/// What the model says next, and what it leads to.
#[derive(Clone, Debug)]
pub enum Step {
    Read(&'static str),
    Search(&'static str),
    Shell,
    /// Hands a task to a sub-agent, whose model says this.
    Task(&'static str, Vec<Step>),
    /// A file changes, by another hand.
    Change(&'static str),
    Say(&'static str),
    /// An answer that reached its longest length.
    CutShort(&'static str),
    /// The model cannot be reached.
    Fail,
}

/// How a chat went.
#[derive(Debug, Default)]
pub struct Went {
    /// Calls that reached the model, sub-agents' included.
    pub calls: usize,
    /// Tool calls that were executed.
    pub executed: usize,
    pub said: String,
    pub files_read: Vec<String>,
}

pub struct World {
    pub server: Server,
    pub settings: PayonceConfig,
    pub config: ForgeConfig,
    /// What the agent may use.
    pub tools: Vec<ToolName>,
    folder: tempfile::TempDir,
}

impl World {
    pub fn new() -> Self {
        let server = Server::start();
        let settings = PayonceConfig::default()
            .enabled(true)
            .socket(server.socket.display().to_string());
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(".git")).unwrap();
        let tools = ["read", "fs_search", "shell", "task"]
            .map(ToolName::new)
            .to_vec();
        let world = Self {
            server,
            settings,
            config: ForgeConfig::default(),
            tools,
            folder,
        };
        world.write("calc.py", "def add(): pass");
        world
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    pub fn question(&self, text: &str) -> Context {
        question(text)
    }

    fn inner(&self) -> Arc<Inner> {
        let config = ForgeConfig { payonce: Some(self.settings.clone()), ..self.config.clone() };
        Arc::new(Inner {
            cwd: self.folder.path().to_path_buf(),
            config,
            tools: self.tools.clone(),
            script: Arc::default(),
            handed_over: Arc::default(),
            calls: Arc::default(),
            executed: Arc::default(),
        })
    }

    pub fn agent(&self) -> CachedAgent<Inner> {
        cached(&self.inner())
    }

    pub async fn chat(&self, question: &str, script: Vec<Step>) -> Went {
        self.continued(self.question(question), script).await
    }

    /// A chat that begins with this context.
    pub async fn continued(&self, context: Context, script: Vec<Step>) -> Went {
        let inner = self.inner();
        let mut went = Went::default();
        if let Ok((said, metrics)) = play(cached(&inner), context, Some(script)).await {
            went.said = said;
            went.files_read = metrics.files_accessed.into_iter().collect();
        }
        went.calls = inner.calls.load(Ordering::SeqCst);
        went.executed = inner.executed.load(Ordering::SeqCst);
        went
    }

    /// One call of the model, without a chat around it.
    pub async fn ask(
        &self,
        agent: &CachedAgent<Inner>,
        context: &Context,
        step: Step,
    ) -> anyhow::Result<ChatCompletionMessageFull> {
        agent.inner.script.lock().unwrap().push_back(step);
        let id = agent.session.as_ref().unwrap().conversation;
        let context = context.clone().conversation_id(id);
        agent
            .chat_agent(&ModelId::new("m"), context, None)
            .await?
            .into_full(false)
            .await
    }
}

fn cached(inner: &Arc<Inner>) -> CachedAgent<Inner> {
    let provider = Provider {
        id: ProviderId::OPENAI,
        provider_type: Default::default(),
        response: None,
        url: Url::parse("http://127.0.0.1:1/v1").unwrap(),
        models: None,
        auth_methods: vec![],
        url_params: vec![],
        credential: None,
        custom_headers: None,
    };
    CachedAgent::new(
        inner.clone(),
        ConversationId::generate(),
        &provider,
        &inner.config,
    )
}

/// A chat as `ForgeApp::chat` and the orchestrator make it.
async fn play(
    cached: CachedAgent<Inner>,
    context: Context,
    script: Option<Vec<Step>>,
) -> anyhow::Result<(String, Metrics)> {
    let share = cached.inner.script.clone();
    // A sub-agent's steps come before what its parent has left to say. When a known
    // answer handed the task over, there are none of its own, and it takes the
    // next ones.
    let left = script.map(|script| std::mem::replace(&mut *share.lock().unwrap(), script.into()));
    let conversation = cached
        .session
        .as_ref()
        .map_or_else(ConversationId::generate, |session| session.conversation);
    let tools = ToolCallContext::new(Metrics::default());
    let outcome = turns(&cached, context.conversation_id(conversation), &tools).await;
    cached.finish(outcome.is_ok()).await;
    if let Some(left) = left {
        *share.lock().unwrap() = left;
    }
    Ok((outcome?, tools.with_metrics(|metrics| metrics.clone())?))
}

async fn turns(
    cached: &CachedAgent<Inner>,
    mut context: Context,
    tools: &ToolCallContext,
) -> anyhow::Result<String> {
    let agent = Agent::new(AgentId::new("sage"), ProviderId::OPENAI, ModelId::new("m"))
        .tools(cached.inner.tools.clone());
    loop {
        let stream = cached
            .chat_agent(&agent.model, context.clone(), None)
            .await?;
        let answer = stream.into_full(false).await?;
        if answer.tool_calls.is_empty() {
            return Ok(answer.content);
        }
        let mut records = Vec::new();
        for call in answer.tool_calls {
            records.push((call.clone(), cached.call(&agent, tools, call).await));
        }
        context = context.append_message("", None, None, None, answer.usage, records, None);
    }
}

/// The services below the cache. Clones share the script.
#[derive(Clone)]
pub struct Inner {
    cwd: PathBuf,
    config: ForgeConfig,
    tools: Vec<ToolName>,
    script: Arc<Mutex<VecDeque<Step>>>,
    /// What the sub-agent of the task that was handed over last will say.
    handed_over: Arc<Mutex<Option<Vec<Step>>>>,
    calls: Arc<AtomicUsize>,
    executed: Arc<AtomicUsize>,
}

impl Inner {
    fn next(&self) -> Step {
        let step = self.script.lock().unwrap().pop_front();
        let step = step.expect("the model was asked, though the answer should have been known");
        if let Step::Change(name) = step {
            std::fs::write(self.cwd.join(name), "changed").unwrap();
            return self.next();
        }
        step
    }

    fn tool(&self, step: Step) -> (&'static str, Value) {
        match step {
            Step::Read(name) => ("read", json!({ "file_path": self.cwd.join(name) })),
            Step::Search(pattern) => ("fs_search", json!({ "pattern": pattern })),
            Step::Shell => ("shell", json!({ "command": "true" })),
            Step::Task(task, steps) => {
                *self.handed_over.lock().unwrap() = Some(steps);
                ("task", json!({ "tasks": [task], "agent_id": "sage" }))
            }
            other => panic!("{other:?} is no tool"),
        }
    }

    fn search(&self, pattern: &str) -> String {
        let files = std::fs::read_dir(&self.cwd).unwrap().flatten();
        let mut found: Vec<_> = files
            .filter(|file| {
                std::fs::read_to_string(file.path()).is_ok_and(|text| text.contains(pattern))
            })
            .map(|file| file.file_name().into_string().unwrap())
            .collect();
        found.sort();
        found.join("\n")
    }

    async fn execute(
        &self,
        context: &ToolCallContext,
        tool: ToolCatalog,
    ) -> anyhow::Result<ToolOutput> {
        if let ToolCatalog::Task(task) = tool {
            let steps = self.handed_over.lock().unwrap().take();
            let question = question(&task.tasks[0]);
            // As in ForgeCode, the chat is made here and its turns run in a task of their
            // own.
            let cached = cached(&Arc::new(self.clone()));
            let outcome = tokio::spawn(play(cached, question, steps)).await?;
            return Ok(ToolOutput::ai(ConversationId::generate(), outcome?.0));
        }
        self.executed.fetch_add(1, Ordering::SeqCst);
        match tool {
            ToolCatalog::Read(read) => {
                let text = std::fs::read_to_string(&read.file_path)?;
                let operation = FileOperation::new(ToolKind::Read);
                context.with_metrics(|metrics| {
                    *metrics = metrics.clone().insert(read.file_path, operation)
                })?;
                Ok(ToolOutput::text(text))
            }
            ToolCatalog::FsSearch(search) => Ok(ToolOutput::text(self.search(&search.pattern))),
            _ => Ok(ToolOutput::text("done")),
        }
    }
}

#[async_trait::async_trait]
impl AgentService for Inner {
    async fn chat_agent(
        &self,
        _: &ModelId,
        _: Context,
        _: Option<ProviderId>,
    ) -> ResultStream<ChatCompletionMessage, anyhow::Error> {
        let number = self.calls.fetch_add(1, Ordering::SeqCst);
        let messages = match self.next() {
            Step::Fail => anyhow::bail!("scripted failure"),
            Step::Say(said) => vec![text(said), last(FinishReason::Stop)],
            Step::CutShort(said) => vec![text(said), last(FinishReason::Length)],
            step => {
                let (name, arguments) = self.tool(step);
                let call = ToolCallFull::new(name)
                    .call_id(ToolCallId::new(format!("call_{number}_{}", rand_id())))
                    .arguments(ToolCallArguments::Parsed(arguments));
                vec![
                    ChatCompletionMessage::default().add_tool_call(call),
                    last(FinishReason::ToolCalls),
                ]
            }
        };
        Ok(Box::pin(tokio_stream::iter(messages.into_iter().map(Ok))))
    }

    async fn call(&self, _: &Agent, context: &ToolCallContext, call: ToolCallFull) -> ToolResult {
        let result = ToolResult::new(call.name.clone()).call_id(call.call_id.clone());
        let tool = ToolCatalog::try_from(call).unwrap();
        result.output(self.execute(context, tool).await)
    }

    async fn update(&self, _: Conversation) -> anyhow::Result<()> {
        Ok(())
    }
}

impl EnvironmentInfra for Inner {
    type Config = ForgeConfig;

    fn get_env_var(&self, _: &str) -> Option<String> {
        None
    }

    fn get_env_vars(&self) -> BTreeMap<String, String> {
        BTreeMap::new()
    }

    fn get_environment(&self) -> Environment {
        Environment {
            os: "linux".into(),
            cwd: self.cwd.clone(),
            home: None,
            shell: "sh".into(),
            base_path: self.cwd.clone(),
        }
    }

    fn get_config(&self) -> anyhow::Result<ForgeConfig> {
        Ok(self.config.clone())
    }

    async fn update_environment(&self, _: Vec<ConfigOperation>) -> anyhow::Result<()> {
        Ok(())
    }
}

fn question(text: &str) -> Context {
    Context::default()
        .add_message(ContextMessage::system("You are an agent."))
        .add_message(ContextMessage::user(text, None))
}

/// Providers give each call an id of its own.
fn rand_id() -> String {
    ConversationId::generate().into_string()
}

pub fn text(said: &str) -> ChatCompletionMessage {
    ChatCompletionMessage::default().content(Content::part(said))
}

fn last(reason: FinishReason) -> ChatCompletionMessage {
    let usage = Usage { prompt_tokens: TokenCount::Actual(7), ..Usage::default() };
    ChatCompletionMessage::default()
        .finish_reason(reason)
        .usage(usage)
}
