mod server;
mod world;

use forge_domain::{
    ChatCompletionMessage, Content, Context, ContextMessage, FinishReason, MessagePhase, Reasoning,
    ReasoningFull, ToolCallFull, ToolCallPart, ToolOutput, ToolResult,
};
use pretty_assertions::assert_eq;

use self::world::{Step, World, text};
use super::answer::Answer;
use super::tools;

fn read_and_tell() -> Vec<Step> {
    vec![Step::Read("calc.py"), Step::Say("It adds.")]
}

#[tokio::test]
async fn the_same_chat_again_asks_nobody() {
    let world = World::new();
    let first = world.chat("What is it?", read_and_tell()).await;
    let second = world.chat("What is it?", vec![]).await;
    assert_eq!((first.calls, first.executed), (2, 1));
    assert_eq!((second.calls, second.executed), (0, 0));
    assert_eq!(second.said, first.said);
    // Without it, an edit would be refused: the file was not read.
    assert_eq!(second.files_read, first.files_read);
    assert_eq!(world.server.visible("llm"), 2);
}

#[tokio::test]
async fn a_changed_file_is_read_again_and_the_model_is_asked_about_it() {
    let world = World::new();
    world.chat("What is it?", read_and_tell()).await;
    world.write("calc.py", "def subtract(): pass");
    let second = world
        .chat("What is it?", vec![Step::Say("It subtracts.")])
        .await;
    // The first call is the same, what the tool gave is not.
    assert_eq!((second.calls, second.executed), (1, 1));
    assert_eq!(second.said, "It subtracts.");
}

#[tokio::test]
async fn nothing_of_a_chat_that_did_not_end_well_is_left() {
    let world = World::new();
    // A failure, an answer that the model did not end, and an interrupt.
    world
        .chat("1", vec![Step::Read("calc.py"), Step::Fail])
        .await;
    world
        .chat("2", vec![Step::Read("calc.py"), Step::CutShort("It a")])
        .await;
    let interrupted = world.agent();
    world
        .ask(&interrupted, &world.question("3"), Step::Read("calc.py"))
        .await
        .unwrap();
    assert_eq!(world.server.pending(), 1);
    drop(interrupted);
    for kind in ["llm", "tool_result"] {
        assert_eq!(world.server.visible(kind), 0, "{kind}");
    }
    assert_eq!(world.server.pending(), 0);
}

#[tokio::test]
async fn a_whole_run_of_a_sub_agent_is_one_entry_with_what_it_read() {
    let world = World::new();
    let research = vec![
        Step::Read("calc.py"),
        Step::Search("def"),
        Step::Say("Report."),
    ];
    let first = world
        .chat(
            "Ask SAGE",
            vec![Step::Task("what?", research), Step::Say("SAGE says so.")],
        )
        .await;
    assert_eq!((first.calls, world.server.visible("subagent")), (5, 1));

    // Another chat that hands over the same task: one lookup stands for the
    // sub-agent's three turns.
    let other = world
        .chat(
            "Please ask SAGE",
            vec![Step::Task("what?", vec![]), Step::Say("So it is.")],
        )
        .await;
    assert_eq!(
        (other.calls, other.executed, other.said.as_str()),
        (2, 0, "So it is.")
    );

    world.write("other.py", "def more(): pass"); // a search may find it
    let again = vec![Step::Say("New report.")];
    let after = world
        .chat(
            "Do ask SAGE",
            vec![Step::Task("what?", again), Step::Say("Now so.")],
        )
        .await;
    // Its first two turns are known, since the file that it read has not changed;
    // what the search finds is new.
    assert_eq!(
        (after.calls, after.executed, after.said.as_str()),
        (3, 1, "Now so.")
    );
}

#[tokio::test]
async fn a_sub_agents_report_goes_with_its_parent() {
    let world = World::new();
    let research = vec![Step::Read("calc.py"), Step::Say("Report.")];
    world
        .chat("Ask SAGE", vec![Step::Task("what?", research), Step::Fail])
        .await;
    assert_eq!(
        (world.server.visible("subagent"), world.server.pending()),
        (0, 0)
    );
}

#[tokio::test]
async fn a_report_that_nobody_can_check_later_is_not_stored() {
    let world = World::new();
    let report = || Step::Say("Report.");
    let cases = [
        ("a shell", vec![Step::Shell, report()], 4),
        ("a failed read", vec![Step::Read("none.py"), report()], 4),
        (
            "a change meanwhile",
            vec![Step::Read("calc.py"), Step::Change("calc.py"), report()],
            4,
        ),
        (
            "a failed sub-agent",
            vec![Step::Task("and?", vec![Step::Fail]), report()],
            5,
        ),
    ];
    for (what, research, calls) in cases {
        let chat = vec![Step::Task(what, research), Step::Say("Done.")];
        let went = world.chat(what, chat).await;
        // Otherwise the script was not played, and the case shows nothing.
        assert_eq!(went.calls, calls, "{what}");
        assert_eq!(world.server.visible("subagent"), 0, "{what}");
    }
    assert_eq!(world.server.pending(), 0);
}

#[tokio::test]
async fn a_report_of_a_report_depends_on_both_read_sets() {
    let world = World::new();
    let inner = vec![Step::Read("calc.py"), Step::Say("Inner.")];
    let outer = vec![Step::Task("and?", inner), Step::Say("Outer.")];
    world
        .chat("Ask", vec![Step::Task("what?", outer), Step::Say("Done.")])
        .await;
    assert_eq!(world.server.visible("subagent"), 2);
    let hit = world
        .chat(
            "Ask it",
            vec![Step::Task("what?", vec![]), Step::Say("Done.")],
        )
        .await;
    assert_eq!(hit.calls, 2);
    world.write("calc.py", "def subtract(): pass");
    let again = vec![Step::Say("Inner 2."), Step::Say("Outer 2.")];
    let miss = world
        .chat(
            "Do ask it",
            vec![Step::Task("what?", again), Step::Say("Done 2.")],
        )
        .await;
    assert_eq!(
        (miss.calls, miss.executed, miss.said.as_str()),
        (4, 1, "Done 2.")
    );
}

#[tokio::test]
async fn an_answer_that_was_of_no_use_is_given_to_nobody() {
    let world = World::new();
    let agent = world.agent();
    let question = world.question("What is it?");
    world
        .ask(&agent, &question, Step::Say("garbled"))
        .await
        .unwrap();
    // The loop could not read it and asks again.
    let again = world
        .ask(&agent, &question, Step::Say("It adds."))
        .await
        .unwrap();
    assert_eq!(again.content, "It adds.");
    agent.finish(true).await;
    let later = world.chat("What is it?", vec![]).await;
    assert_eq!((later.calls, later.said.as_str()), (0, "It adds."));
}

#[tokio::test]
async fn in_restricted_mode_every_tool_call_is_made() {
    let mut world = World::new();
    world.config.restricted = true;
    world.chat("What is it?", read_and_tell()).await;
    let second = world.chat("What is it?", vec![]).await;
    assert_eq!((second.calls, second.executed), (0, 1));
    assert_eq!(world.server.visible("tool_result"), 0);
}

#[tokio::test]
async fn a_tool_that_the_agent_may_not_use_is_not_answered_from_the_cache() {
    let mut world = World::new();
    world.chat("What is it?", read_and_tell()).await;
    world.tools.clear();
    let second = world.chat("What is it?", vec![]).await;
    assert_eq!(second.executed, 1);
}

#[tokio::test]
async fn without_a_server_or_when_off_all_goes_through() {
    let mut world = World::new();
    for off in [false, true] {
        world.settings.socket = Some("/no/such/socket".into());
        world.settings.enabled = !off;
        for _ in 0..2 {
            let chat = world.chat("What is it?", read_and_tell()).await;
            assert_eq!(
                (chat.calls, chat.executed, chat.said.as_str()),
                (2, 1, "It adds.")
            );
        }
    }
}

#[tokio::test]
async fn sessions_differ_in_nothing_but_names() {
    let world = World::new();
    let called = |id: &str| {
        let call = ToolCallFull::new("read").call_id(id);
        let result = ToolResult::new("read")
            .call_id(Some(id.into()))
            .output(Ok(ToolOutput::text("x")));
        world.question("q").append_message(
            "",
            None,
            None,
            None,
            Default::default(),
            vec![(call, result)],
            None,
        )
    };
    let ask = async |context: Context, say: Vec<Step>| world.continued(context, say).await;
    assert_eq!(ask(called("call_1"), vec![Step::Say("a")]).await.calls, 1);
    assert_eq!(
        ask(called("call_2"), vec![]).await.calls,
        0,
        "names of calls"
    );
    let other = called("call_1").add_message(ContextMessage::user("and now?", None));
    assert_eq!(
        ask(other, vec![Step::Say("b")]).await.calls,
        1,
        "another message"
    );
    let warmer = called("call_1").temperature(forge_domain::Temperature::new(0.9).unwrap());
    assert_eq!(
        ask(warmer, vec![Step::Say("c")]).await.calls,
        1,
        "another temperature"
    );
}

#[test]
fn only_a_search_whose_files_git_watches_has_a_dependency() {
    let folder = tempfile::tempdir().unwrap();
    let project = folder.path().join("project");
    for name in ["src", "build/deep"] {
        std::fs::create_dir_all(project.join(name)).unwrap();
    }
    std::fs::write(project.join(".gitignore"), "build/\n").unwrap();
    let git = std::process::Command::new("git")
        .args(["init", "--quiet"])
        .current_dir(&project)
        .status();
    assert!(git.unwrap().success());
    let tree = |path: &str| tools::tree_around(&folder.path().join(path));
    let watched = Some(payonce::Dependency::git(&project));
    for path in ["project", "project/src", "project/none"] {
        assert_eq!(tree(path), watched, "{path}");
    }
    for path in ["project/build", "project/build/deep", "outside"] {
        assert_eq!(tree(path), None, "{path}");
    }
}

#[test]
fn an_answer_is_replayed_as_it_came() {
    let part = ToolCallPart::default()
        .call_id("call_1")
        .name("read")
        .arguments_part("{\"a\":");
    let messages = [
        text("It "),
        text("adds."),
        ChatCompletionMessage::default().reasoning(Content::part("hm")),
        ChatCompletionMessage::default().add_reasoning_detail(Reasoning::Part(vec![
            ReasoningFull::default().text("hm".to_string()),
        ])),
        ChatCompletionMessage::default().add_tool_call(part),
        ChatCompletionMessage::default()
            .phase(MessagePhase::Commentary)
            .thought_signature("sig"),
        ChatCompletionMessage::default().finish_reason(FinishReason::ToolCalls),
    ];
    let mut answer = Answer::default();
    messages.iter().for_each(|message| answer.push(message));
    assert!(answer.is_whole() && !answer.ends_the_chat());
    let stored = serde_json::to_string(&answer).unwrap();
    let read: Answer = serde_json::from_str(&stored).unwrap();
    let replayed: Vec<_> = futures::executor::block_on_stream(read.stream())
        .map(Result::unwrap)
        .collect();
    let merged = [vec![text("It adds.")], messages[2..].to_vec()].concat();
    assert_eq!(replayed, merged);
}

#[test]
fn only_whole_answers_are_kept() {
    let with = |reason: Option<FinishReason>, content: &str| {
        let mut answer = Answer::default();
        answer.push(
            &ChatCompletionMessage::default()
                .content(Content::part(content))
                .finish_reason_opt(reason),
        );
        answer.is_whole()
    };
    assert!(with(Some(FinishReason::Stop), "x"));
    assert!(!with(Some(FinishReason::Stop), ""));
    assert!(!with(Some(FinishReason::Length), "x"));
    assert!(!with(Some(FinishReason::ContentFilter), "x"));
    assert!(!with(None, "x"));
}
