"""Each adapter in its real framework, on a scripted model and the real binary."""

from __future__ import annotations

import asyncio
import operator
import pathlib
from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from model import Model, Say, results_since_question
from typing_extensions import TypedDict

import payonce
from payonce import Client


def plan(turns: list[dict[str, Any]]) -> Say:
    """A question that names a city is answered with the help of a tool."""
    results = results_since_question(turns)
    asked = [turn["text"] for turn in turns if turn["role"] == "user"][-1]
    if "weather" in asked and not results:
        return [("weather", {"city": "Zürich"})]
    return f"The answer: {results[-1]}" if results else "Hello"


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[Model]:
    with Model(plan) as running:
        monkeypatch.setenv("OPENAI_BASE_URL", running.url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
        monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        monkeypatch.setenv("OPENAI_AGENTS_DISABLE_TRACING", "1")
        yield running


def test_langchain(model: Model, client: Client) -> None:
    from langchain_core.globals import set_llm_cache
    from langchain_core.tools import tool
    from langchain_openai import ChatOpenAI

    from payonce.integrations.langchain import PayonceCache

    @tool
    def weather(city: str) -> str:
        """The weather in a city."""
        return "rain"

    set_llm_cache(PayonceCache(client))
    try:
        llm = ChatOpenAI(model="m", temperature=0)
        assert llm.invoke("Hi").content == llm.invoke("Hi").content == "Hello [call 1]"
        assert model.calls == 1
        assert llm.invoke("Hi there").content == "Hello [call 2]"
        assert ChatOpenAI(model="other", temperature=0).invoke("Hi").content == "Hello [call 3]"
        with_tools = llm.bind_tools([weather])
        calls: Any = [with_tools.invoke("How is the weather?").tool_calls for _ in range(2)]
        assert calls[0] == calls[1] and calls[0][0]["id"] == "call_4_0" and model.calls == 4
        assert asyncio.run(llm.ainvoke("Hi")).content == "Hello [call 1]"
        set_llm_cache(PayonceCache(Client()))
        assert llm.invoke("Hi").content == "Hello [call 5]"  # no instance: as without a cache
        set_llm_cache(PayonceCache(client))
        PayonceCache(client).clear()
        assert llm.invoke("Hi").content == "Hello [call 6]"
    finally:
        set_llm_cache(None)


class State(TypedDict):
    x: int
    seen: Annotated[list[int], operator.add]


def test_langgraph(client: Client) -> None:
    from langgraph.graph import END, START, StateGraph
    from langgraph.types import CachePolicy

    from payonce.integrations.langgraph import PayonceCache

    calls = []

    def double(state: State) -> dict[str, Any]:
        calls.append(state["x"])
        return {"seen": [2 * state["x"]]}

    def graph(cache: PayonceCache) -> Any:
        built = StateGraph(State)
        built.add_node("double", double, cache_policy=CachePolicy(ttl=60))
        built.add_edge(START, "double")
        built.add_edge("double", END)
        return built.compile(cache=cache)

    cache = PayonceCache(client)
    for _ in range(2):
        assert graph(cache).invoke({"x": 3, "seen": []})["seen"] == [6]
    assert asyncio.run(graph(PayonceCache(client)).ainvoke({"x": 3, "seen": []}))["seen"] == [6]
    assert graph(cache).invoke({"x": 4, "seen": []})["seen"] == [8]
    assert calls == [3, 4]
    cache.clear()
    graph(cache).invoke({"x": 3, "seen": []})
    graph(PayonceCache(Client())).invoke({"x": 3, "seen": []})  # no instance
    assert calls == [3, 4, 3, 3]


def test_litellm(model: Model, client: Client) -> None:
    import litellm

    from payonce.integrations.litellm import install

    def ask(text: str) -> Any:
        messages = [{"role": "user", "content": text}]
        return litellm.completion(model="openai/m", api_base=model.url, messages=messages, temperature=0)

    install(client)
    try:
        answers = [ask("Hi").choices[0].message.content for _ in range(2)]
        assert answers == ["Hello [call 1]"] * 2
        assert ask("Hello?").choices[0].message.content == "Hello [call 2]"

        async def again() -> Any:
            messages = [{"role": "user", "content": "Hi"}]
            return await litellm.acompletion(model="openai/m", api_base=model.url, messages=messages, temperature=0)

        assert asyncio.run(again()).choices[0].message.content == "Hello [call 1]"
        install(Client())
        assert ask("Hi").choices[0].message.content == "Hello [call 3]"
    finally:
        litellm.cache = None


def test_openai_agents(model: Model, client: Client, tmp_path: pathlib.Path) -> None:
    from agents import Agent, OpenAIProvider, RunConfig, Runner, function_tool

    from payonce.integrations.openai_agents import PayonceProvider, cached_tool

    weather_file = tmp_path / "weather"
    weather_file.write_text("rain")
    ran = []

    @function_tool
    def weather(city: str) -> str:
        """The weather in a city."""
        ran.append(city)
        return weather_file.read_text()

    provider = PayonceProvider(OpenAIProvider(use_responses=False), client)
    tool = cached_tool(weather, deps=lambda _: [payonce.file(weather_file)], client=client)
    agent = Agent(name="a", instructions="Help.", tools=[tool], model="m")
    config = RunConfig(model_provider=provider)

    async def run(text: str) -> str:
        async with payonce.run(client=client):
            return str((await Runner.run(agent, text, run_config=config)).final_output)

    async def stream(text: str) -> str:
        result = Runner.run_streamed(agent, text, run_config=config)
        async for _ in result.stream_events():
            pass
        return str(result.final_output)

    async def all_of_it() -> None:
        assert [await run("The weather?") for _ in range(2)] == ["The answer: rain [call 2]"] * 2
        assert (model.calls, ran) == (2, ["Zürich"])
        weather_file.write_text("sun")
        assert await run("The weather?") == "The answer: sun [call 3]"
        streamed = [await stream("Hi") for _ in range(2)]
        assert streamed[0] == streamed[1] and model.calls == 4
        model.fail_after = 5
        with pytest.raises(Exception, match="scripted"):
            await run("More weather?")
        model.fail_after = None
        before = model.calls
        await run("More weather?")
        assert model.calls == before + 2  # the failed run's first call was asked again

    asyncio.run(all_of_it())


def test_openai_agents_without_an_instance(model: Model) -> None:
    from agents import Agent, OpenAIProvider, RunConfig, Runner

    from payonce.integrations.openai_agents import PayonceProvider

    config = RunConfig(model_provider=PayonceProvider(OpenAIProvider(use_responses=False), Client()))
    agent = Agent(name="a", model="m")

    async def twice() -> None:
        for number in (1, 2):
            result = await Runner.run(agent, "Hi", run_config=config)
            assert result.final_output == f"Hello [call {number}]"

    asyncio.run(twice())


def test_llama_index(client: Client) -> None:
    from llama_index.core.base.llms.types import ChatMessage, CompletionResponse, LLMMetadata
    from llama_index.core.llms import CustomLLM
    from llama_index.core.tools import FunctionTool

    from payonce.integrations.llama_index import PayonceLLM, cached_tool

    class Scripted(CustomLLM):
        calls: int = 0
        model: str = "m"

        @property
        def metadata(self) -> LLMMetadata:
            return LLMMetadata(model_name=self.model)

        def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
            self.calls += 1
            return CompletionResponse(text=f"{prompt} {self.calls}")

        def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
            raise NotImplementedError

    class Counting(Scripted):
        def to_dict(self, **kwargs: Any) -> dict[str, Any]:
            return {**super().to_dict(**kwargs), "calls": 0}

    inner = Counting()
    llm = PayonceLLM(inner, client)
    assert llm.complete("Hi").text == llm.complete("Hi").text == "Hi 1"
    message = ChatMessage(role="user", content="Hello")
    assert str(llm.chat([message])) == str(asyncio.run(llm.achat([message])))
    assert inner.calls == 2
    assert PayonceLLM(Counting(model="other"), client).complete("Hi").text == "Hi 1"
    assert PayonceLLM(inner, Client()).complete("Hi").text == "Hi 3"  # no instance

    ran = []

    def weather(city: str) -> str:
        """The weather in a city."""
        ran.append(city)
        return f"rain in {city}"

    tool = cached_tool(FunctionTool.from_defaults(weather), client=client)
    assert [tool(city="Bern").content, tool.call(city="Bern").content] == ["rain in Bern"] * 2
    assert asyncio.run(tool.acall(city="Bern")).content == "rain in Bern"
    assert ran == ["Bern"] and tool.metadata.name == "weather"


def test_llama_index_agent_with_tools(client: Client) -> None:
    """A function-calling model inside LlamaIndex's own agent loop."""
    from llama_index.core.agent.workflow import FunctionAgent
    from llama_index.core.llms.mock import MockFunctionCallingLLM
    from llama_index.core.tools import FunctionTool

    from payonce.integrations.llama_index import PayonceLLM

    def weather(city: str) -> str:
        """The weather in a city."""
        return f"rain in {city}"

    async def run() -> str:
        llm = PayonceLLM(MockFunctionCallingLLM(), client)
        agent = FunctionAgent(tools=[FunctionTool.from_defaults(weather)], llm=llm, streaming=False)
        return str(await agent.run("Hello"))

    assert asyncio.run(run()) == asyncio.run(run())
    assert client.stats()["layers"]["llm"]["hits"] >= 1
