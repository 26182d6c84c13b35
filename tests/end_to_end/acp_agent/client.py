"""The official ACP client (the Python package `agent-client-protocol`) against `kirosu acp`.

    client.py SCENARIO SETUP.json

SETUP.json has the `command` of the agent, its `environment`, the `folder` of the project, and what a scenario needs. Every
scenario ends with exit code 0 or with an assertion. A line on standard output asks tests/end_to_end/acp_agent/ for something, a
line on standard input says that it is done.
"""

import asyncio
import json
import os
import re
import sys
import time
from contextlib import asynccontextmanager

from acp import PROTOCOL_VERSION, RequestError, spawn_agent_process, text_block
from acp.schema import (
    AcceptElicitationResponse,
    AgentMessageChunk,
    AgentPlanUpdate,
    AgentThoughtChunk,
    AllowedOutcome,
    AvailableCommandsUpdate,
    ClientCapabilities,
    DeniedOutcome,
    ElicitationCapabilities,
    ElicitationFormCapabilities,
    RequestPermissionResponse,
    SessionInfoUpdate,
    ToolCallProgress,
    ToolCallStart,
    UserMessageChunk,
)

with open(sys.argv[2], encoding="utf-8") as setup:
    SETUP = json.load(setup)

PATIENCE = 60


class Editor:
    """The client's side: notes every update, and answers questions as told."""

    def __init__(self):
        self.updates = []
        self.changed = asyncio.Event()
        self.questions = []
        #: The choice of the person: an option's id, None (closes the question), or a function of the question.
        self.choice = "approve"

    async def session_update(self, session_id, update, **_):
        self.updates.append(update)
        self.changed.set()

    async def request_permission(self, session_id, tool_call, options, **_):
        self.questions.append((tool_call, options))
        self.changed.set()
        choice = self.choice
        if asyncio.isfuture(choice):
            choice = await choice
        if choice is None:
            return RequestPermissionResponse(outcome=DeniedOutcome(outcome="cancelled"))
        return RequestPermissionResponse(outcome=AllowedOutcome(outcome="selected", option_id=choice))

    async def create_elicitation(self, message, mode, **_):
        self.questions.append((message, mode))
        return AcceptElicitationResponse(action="accept", content=self.choice)

    def on_connect(self, _):
        pass

    async def until(self, what, found):
        """Waits until `found` of this editor is true; what it found."""

        async def wait():
            while True:
                self.changed.clear()
                if result := found():
                    return result
                await self.changed.wait()

        try:
            return await asyncio.wait_for(wait(), PATIENCE)
        except TimeoutError:
            raise AssertionError(f"not within {PATIENCE} s: {what}; updates: {self.updates}") from None

    def of(self, kind):
        return [it for it in self.updates if isinstance(it, kind)]

    def answer(self):
        return "".join(it.content.text for it in self.of(AgentMessageChunk))

    def asides(self):
        return "".join(it.content.text for it in self.of(AgentThoughtChunk))

    def task(self):
        """The number of the newest turn's task."""
        return int(re.findall(r"(?:task|run) (\d+), queue", self.asides())[-1])

    def calls(self):
        """The tool calls: their first state, with what later updates changed."""
        calls = {}
        for update in self.updates:
            if isinstance(update, ToolCallStart):
                assert update.tool_call_id not in calls, "begins twice"
                calls[update.tool_call_id] = update
            elif isinstance(update, ToolCallProgress):
                call = calls[update.tool_call_id]
                for name in ("status", "content", "title"):
                    if (value := getattr(update, name)) is not None:
                        setattr(call, name, value)
        return calls

    def plan(self):
        """The entries of the newest plan."""
        return [(it.content, it.status) for it in self.of(AgentPlanUpdate)[-1].entries]


def text_of(call):
    return "".join(it.content.text for it in call.content or [])


@asynccontextmanager
async def connected(port=None, environment=None, **capabilities):
    """An editor that has started the agent in a session without a terminal, and the raw messages of both."""
    editor, raw = Editor(), []
    command = [port if word == SETUP["port"] and port else word for word in SETUP["command"]]
    async with spawn_agent_process(
        editor,
        "setsid",
        *command,
        env={**SETUP["environment"], **(environment or {})},
        cwd=SETUP["folder"],
        observers=[lambda event: raw.append(event)],
        # Forms are stable in the protocol, and not yet in this version of the library.
        use_unstable_protocol="elicitation" in capabilities,
    ) as (agent, process):
        editor.raw, editor.process = raw, process
        hello = await agent.initialize(protocol_version=PROTOCOL_VERSION, client_capabilities=ClientCapabilities(**capabilities))
        assert hello.protocol_version == 1 and hello.agent_info.name == "kirosu"
        yield editor, agent


async def opened(agent, **more):
    session = await agent.new_session(cwd=SETUP["folder"], mcp_servers=[], **more)
    return session.session_id


async def said(agent, session, text):
    """A turn that ends well: the reason to stop."""
    answer = await asyncio.wait_for(agent.prompt(session_id=session, prompt=[text_block(text)]), PATIENCE)
    return answer.stop_reason


async def refused(call):
    try:
        result = await asyncio.wait_for(call, PATIENCE)
    except RequestError as error:
        return error
    raise AssertionError(f"accepted: {result}")


def asks(wish):
    """Asks the test for something, and waits until it is done."""
    print(wish, flush=True)
    assert sys.stdin.readline() == "done\n"


def exists(name):
    """Waits for a file of the project."""
    end = time.monotonic() + PATIENCE
    while not os.path.exists(f"{SETUP['folder']}/{name}"):
        assert time.monotonic() < end, f"no {name}"
        time.sleep(0.02)


# ---------------------------------------------------------------- the scenarios


async def conversation():
    """Turns that continue, another queue, and the same conversation in another process."""
    async with connected() as (editor, agent):
        session = await opened(agent)
        assert await said(agent, session, "turns") == "end_turn"
        assert editor.answer() == "1", editor.updates
        first = editor.task()
        assert await said(agent, session, "turns") == "end_turn"
        assert editor.answer() == "12", "the second task continues the first"
        titles = [it.title for it in editor.of(SessionInfoUpdate)]
        assert titles == ["turns"], titles
        # Words of the person and of the agent pass as they are.
        attack = "\x1b[2J<script>\x07\u202e end {{ x }} \u2028 \U0001f600 \0 \n\r\n\"'\\"
        editor.updates.clear()
        assert await said(agent, session, f"say {attack}") == "end_turn"
        assert attack.strip() in editor.answer(), repr(editor.answer())
        # Agents of another queue do not know the conversation: it is sent along.
        options = (await agent.set_config_option(config_id="queue", session_id=session, value="echo")).config_options
        assert options[0].root.current_value == "echo" if hasattr(options[0], "root") else options[0].current_value == "echo"
        editor.updates.clear()
        assert await said(agent, session, "and now") == "end_turn"
        answer = editor.answer()
        assert answer.startswith("Earlier turns") and "<person>\nturns\n</person>" in answer, answer
        assert answer.endswith("and now"), answer
        # A provider without conversations: the next turn sends them along, too, and says so.
        editor.updates.clear()
        assert await said(agent, session, "once more") == "end_turn"
        assert "the earlier turns are sent along" in editor.asides(), editor.asides()
        assert "and now" in editor.answer()
        why = await refused(agent.set_config_option(config_id="queue", session_id=session, value="none"))
        assert why.code == -32602 and "default" in str(why), why
    async with connected() as (editor, agent):
        sessions = (await agent.list_sessions(cwd=SETUP["folder"])).sessions
        assert [it.session_id for it in sessions] == [session] and sessions[0].title == "turns", sessions
        assert sessions[0].cwd == SETUP["folder"] and sessions[0].updated_at
        assert not (await agent.list_sessions(cwd="/elsewhere")).sessions
        await agent.load_session(cwd=SETUP["folder"], session_id=session, mcp_servers=[])
        words = [it.content.text for it in editor.of(UserMessageChunk)]
        assert words[:2] == ["turns", "turns"] and words[-1] == "once more" and len(words) == 5, words
        assert words[2] == f"say {attack}", words
        answers = [it.content.text for it in editor.of(AgentMessageChunk)]
        assert answers[:2] == ["1", "2"] and len(answers) == 5, answers
        why = await refused(agent.load_session(cwd=SETUP["folder"], session_id="0" * 24, mcp_servers=[]))
        assert why.code == -32002, why
        # The conversation of the agent goes on, too, with what it has missed before the prompt.
        editor.updates.clear()
        assert await said(agent, session, "say on") == "end_turn"
        assert first < editor.task() and "queue echo" in editor.asides()
        await agent.close_session(session_id=session)
        assert (await refused(said(agent, session, "x"))).code == -32002
        # Without a repetition.
        editor.updates.clear()
        await agent.resume_session(cwd=SETUP["folder"], session_id=session, mcp_servers=[])
        assert not editor.of(UserMessageChunk)
        assert await said(agent, session, "say again") == "end_turn"


async def plans():
    """A plan by /name: its steps are the plan, its items tool calls, its result the answer."""
    async with connected() as (editor, agent):
        session = await opened(agent)
        commands = await editor.until("commands", lambda: editor.of(AvailableCommandsUpdate))
        commands = {it.name: it for it in commands[0].available_commands}
        assert commands["colours"].description == "Says colours", commands
        hint = commands["colours"].input
        hint = getattr(hint, "root", hint).hint
        assert "word=VALUE" in hint and '[list=["red","blue"]]' in hint, hint
        assert "cannot be used" in commands["broken"].description
        assert await said(agent, session, "/colours light ones") == "end_turn"
        plan = editor.of(AgentPlanUpdate)
        assert [it.content for it in plan[0].entries][1] == "last", plan[0]
        assert editor.plan() == [("say: 2 of 2", "completed"), ("last", "completed")], editor.plan()
        calls = {it.title: it for it in editor.calls().values()}
        assert len(calls) == 3 and all(it.status == "completed" for it in calls.values()), calls
        say = [it for title, it in calls.items() if title.startswith("say ")]
        assert sorted(text_of(it) for it in say) == ["light ones blue", "light ones red"], say
        assert "light ones red" in editor.answer(), editor.answer()
        # A map of files reads them from the project's folder.
        editor.updates.clear()
        assert await said(agent, session, "/files") == "end_turn"
        assert "the text of one" in editor.answer(), editor.answer()
        # The plan of a failed step, and the error.
        editor.updates.clear()
        why = await refused(said(agent, session, "/fails"))
        assert why.code == -32603 and "kirosu run retry" in str(why), why
        assert editor.plan()[0][0].startswith("bad") and "failed" in editor.plan()[0][0], editor.plan()
        calls = list(editor.calls().values())
        assert [(it.status, "exited with code 3" in text_of(it)) for it in calls] == [("failed", True)], calls
        # Inputs that do not fit, and a plan with faults: nothing starts.
        for text, part in [("/colours", "write word=VALUE"), ("/colours wordx=x", "did you mean word"),
                           ("/colours word=a list=[] more", "does not take"), ("/broken", "faults")]:
            why = await refused(said(agent, session, text))
            assert why.code == -32602 and part in str(why), (text, why)
        # Another text with a slash is the agent's, which gets the results of the runs before.
        await agent.set_config_option(config_id="queue", session_id=session, value="echo")
        editor.updates.clear()
        assert await said(agent, session, "/usr/bin is a folder") == "end_turn"
        answer = editor.answer()
        assert answer.endswith("/usr/bin is a folder"), answer
        assert "<person>\n/colours light ones\n" in answer and "light ones red" in answer, answer


async def permissions():
    """A permission request of the agent: yes, no, a choice, and one that is decided elsewhere."""
    async with connected() as (editor, agent):
        session = await opened(agent)
        assert await said(agent, session, "ask make it") == "end_turn"
        assert "it ran" in editor.answer(), editor.updates
        ((call, options),) = editor.questions
        assert [it.option_id for it in options] == ["approve", "reject"]
        shown = editor.calls()[call.tool_call_id]
        assert shown.status == "completed" and text_of(shown).endswith("approved"), shown
        assert shown.raw_input["arguments"]["command"] == "make it", shown
        editor.updates.clear(), editor.questions.clear()
        editor.choice = "reject"
        assert await said(agent, session, "ask again") == "end_turn"
        assert "it ran" not in editor.answer()
        ((call, _),) = editor.questions
        assert text_of(editor.calls()[call.tool_call_id]).endswith("rejected")
        # One of several.
        editor.updates.clear(), editor.questions.clear()
        editor.choice = "option:my"
        assert await said(agent, session, "choose Which database?") == "end_turn"
        assert "chose my" in editor.answer()
        ((_, options),) = editor.questions
        assert [it.name for it in options] == ["Postgres", "MySQL", "SQLite", "Reject"], options
        # Another person is faster: the editor's question is withdrawn.
        editor.updates.clear(), editor.questions.clear()
        editor.choice = asyncio.get_running_loop().create_future()
        turn = asyncio.create_task(said(agent, session, "ask slowly"))
        call, _ = await editor.until("the question", lambda: editor.questions and editor.questions[0])
        await asyncio.to_thread(asks, f"approve {call.tool_call_id}")
        assert await turn == "end_turn"
        withdrawn = [it.message for it in editor.raw if it.message.get("method") == "$/cancel_request"]
        assert len(withdrawn) == 1, withdrawn
        assert "approved" in text_of(editor.calls()[call.tool_call_id])
        editor.choice.set_result(None)


async def approvals():
    """A task that needs approval, and one for a person, below the conversation."""
    async with connected() as (editor, agent):
        session = await opened(agent)
        assert await said(agent, session, "/gate") == "end_turn"
        titles = [call.title for call, _ in editor.questions]
        assert len(titles) == 1 and "Ship it?" in titles[0], titles
        assert editor.plan()[-1] == ("ship", "completed"), editor.plan()
        editor.updates.clear(), editor.questions.clear()
        editor.choice = "reject"
        assert await said(agent, session, "/gate") == "end_turn"
        assert editor.plan()[-1] == ("ship: skipped, its `if` is false", "completed"), editor.plan()
        # A child that an agent makes, and its own approval.
        session = await opened(agent)
        await agent.set_config_option(config_id="queue", session_id=session, value="sh")
        editor.updates.clear(), editor.questions.clear()
        editor.choice = "approve"
        script = f"{SETUP['kirosu']} enqueue 'echo of the child' --queue sh --requires-approval --wait"
        assert await said(agent, session, script) == "end_turn"
        assert "of the child" in editor.answer(), editor.updates
        child = [it for it in editor.calls().values() if it.tool_call_id.startswith("task-")]
        assert [(it.status, text_of(it).strip()) for it in child] == [("completed", "of the child")], child
        assert len(editor.questions) == 1


async def forms():
    """A task for a person is a form where the editor has forms."""
    elicitation = ElicitationCapabilities(form=ElicitationFormCapabilities())
    async with connected(elicitation=elicitation) as (editor, agent):
        for choice, result in [({"answer": "the second"}, "the second"), ({}, "Approved by human")]:
            editor.choice = choice
            editor.updates.clear(), editor.questions.clear()
            script = f"{SETUP['kirosu']} enqueue 'Which name?' --type human --wait"
            session = await opened(agent)
            await agent.set_config_option(config_id="queue", session_id=session, value="sh")
            assert await said(agent, session, script) == "end_turn"
            assert result in editor.answer(), editor.answer()
            assert [message for message, _ in editor.questions] == ["Which name?"]


async def without_right():
    """Without the key of a person nothing is asked; the place of the question says what to do, and the turn goes on."""
    async with connected() as (editor, agent):
        session = await opened(agent)
        turn = asyncio.create_task(said(agent, session, "ask make it"))

        def advised():
            return [it for it in editor.calls().values() if "`kirosu approve " in text_of(it)]

        (call,) = await editor.until("the advice", advised)
        assert not editor.questions
        await asyncio.to_thread(asks, f"approve {call.tool_call_id}")
        assert await turn == "end_turn"
        assert "it ran" in editor.answer()


async def cancelled():
    """A cancel in the middle of a task, of a run, and before anything has begun."""
    async with connected() as (editor, agent):
        session = await opened(agent)
        await agent.set_config_option(config_id="queue", session_id=session, value="sh")
        turn = asyncio.create_task(said(agent, session, "echo begun; sleep 600"))
        await editor.until("the output", lambda: "begun" in editor.answer())
        why = await refused(said(agent, session, "echo too early"))
        assert "a turn of this session runs" in str(why), why
        await agent.cancel(session_id=session)
        assert await turn == "cancelled"
        await asyncio.to_thread(asks, f"see {editor.task()} cancelled")
        turn = asyncio.create_task(said(agent, session, "/long"))
        await editor.until("the step", lambda: editor.of(ToolCallStart))
        await agent.cancel(session_id=session)
        assert await turn == "cancelled"
        await asyncio.to_thread(asks, f"see {editor.task()} cancelled")
        session = await opened(agent)
        await agent.set_config_option(config_id="queue", session_id=session, value="sh")
        turn = asyncio.create_task(said(agent, session, "sleep 600"))
        sent = lambda: [it for it in editor.raw if it.message.get("params", {}).get("sessionId") == session]
        while "session/prompt" not in [it.message["method"] for it in sent()]:
            await asyncio.sleep(0)
        await agent.cancel(session_id=session)
        assert await turn == "cancelled"
        session = await opened(agent)
        assert await said(agent, session, "say after") == "end_turn"
        assert "after" in editor.answer()


async def hub_away():
    """The hub is killed in the middle of a turn, and comes back."""
    async with connected() as (editor, agent):
        session = await opened(agent)
        await agent.set_config_option(config_id="queue", session_id=session, value="sh")
        script = "if test -e begun; then echo the answer; else touch begun; echo begun; sleep 600; fi"
        turn = asyncio.create_task(said(agent, session, script))
        await editor.until("the output", lambda: "begun" in editor.answer())
        await asyncio.to_thread(asks, "kill the hub and start it again")
        assert await turn == "end_turn"
        assert "the answer" in editor.answer(), editor.updates
        assert "runs again" in editor.asides(), editor.asides()
        # And with a run.
        turn = asyncio.create_task(said(agent, session, "/slow"))
        await editor.until("the step", lambda: editor.of(ToolCallStart))
        await asyncio.to_thread(exists, "run")
        await asyncio.to_thread(asks, "kill the hub and start it again")
        assert await turn == "end_turn"
        assert "slow answer" in editor.answer(), editor.updates
        assert editor.plan()[-1][1] == "completed"


async def asked_while_away():
    """The person answers while the hub is away: the answer counts once it is back."""
    async with connected() as (editor, agent):
        session = await opened(agent)
        editor.choice = asyncio.get_running_loop().create_future()
        turn = asyncio.create_task(said(agent, session, "/gate"))
        await editor.until("the question", lambda: editor.questions)
        await asyncio.to_thread(asks, "kill the hub")
        editor.choice.set_result("approve")
        await asyncio.to_thread(asks, "start the hub")
        assert await turn == "end_turn"
        assert editor.plan()[-1] == ("ship", "completed"), editor.plan()
        assert len(editor.questions) == 1, editor.questions


async def left():
    """The editor closes in the middle of a turn: the task goes on, and a later prompt shows its end first."""
    async with connected() as (editor, agent):
        session = await opened(agent)
        await agent.set_config_option(config_id="queue", session_id=session, value="sh")
        turn = asyncio.create_task(said(agent, session, "echo begun; while ! test -e go; do sleep 0.1; done; echo gone on"))
        await editor.until("the output", lambda: "begun" in editor.answer())
        task = editor.task()
        turn.cancel()
        editor.process.stdin.close()
        assert await asyncio.wait_for(editor.process.wait(), PATIENCE) == 0
    if SETUP["more"]:
        asks(f"see {task} cancelled")
        return
    asks(f"see {task} leased")
    async with connected() as (editor, agent):
        await agent.load_session(cwd=SETUP["folder"], session_id=session, mcp_servers=[])
        assert f"task {task} is leased" in editor.asides(), editor.asides()
        await agent.set_config_option(config_id="queue", session_id=session, value="echo")
        turn = asyncio.create_task(said(agent, session, "next"))
        await editor.until("the output", lambda: "begun" in editor.answer())
        open(f"{SETUP['folder']}/go", "w").close()
        assert await turn == "end_turn"
        answer = editor.answer()
        assert answer.index("gone on") < answer.rindex("next"), answer


async def errors():
    """No hub, a wrong key, wrong requests and lines that are no messages: each is answered, and the agent goes on."""
    async with connected(port="1") as (_, agent):
        why = await refused(opened(agent))
        assert why.code == -32603 and "kirosu up" in str(why), why
        assert why.data["code"] == "unreachable", why.data
    async with connected(environment={"KIRO_SWARM_KEY": "another-key-0123456789-0123456789"}) as (_, agent):
        why = await refused(opened(agent))
        assert "KIRO_SWARM_KEY" in str(why) and why.data["code"] == "unauthorized", (why, why.data)
    async with connected() as (editor, agent):
        await agent.authenticate(method_id="none")
        session = await opened(agent)
        why = await refused(agent.new_session(cwd="relative", mcp_servers=[]))
        assert why.code == -32602 and "absolute" in str(why), why
        why = await refused(said(agent, "nobody", "x"))
        assert why.code == -32002, why
        image = {"type": "image", "data": "eA==", "mimeType": "image/png"}
        why = await refused(agent._conn.send_request("session/prompt", {"sessionId": session, "prompt": [image]}))
        assert why.code == -32602 and "not image" in str(why), why
        why = await refused(agent._conn.send_request("session/fly", {}))
        assert why.code == -32601, why
        before = len(editor.raw)
        lines = ["", "hello?", "[1, 2]", '{"jsonrpc":"2.0"}', '{"jsonrpc":"2.0","id":900,"method":7}', "\\u0000", "{" * 500]
        for line in lines:
            editor.process.stdin.write(line.encode() + b"\n")
        editor.process.stdin.write(b"\xff\xfe\n" + b"x" * (17 << 20) + b"\n")
        await editor.process.stdin.drain()
        assert await said(agent, session, "say still here") == "end_turn"
        codes = [it.message["error"]["code"] for it in editor.raw[before:] if it.message.get("id", 0) is None]
        assert sorted(codes) == [-32700, -32700, -32700, -32700, -32600, -32600, -32600, -32600], codes
        # Servers that the editor offers are named, as tasks cannot have them.
        editor.updates.clear()
        session = await agent._conn.send_request(
            "session/new", {"cwd": SETUP["folder"], "mcpServers": [{"name": "notes", "command": "x", "args": [], "env": []}]}
        )
        assert await said(agent, session["sessionId"], "say hi") == "end_turn"
        assert "(notes) are not used" in editor.asides(), editor.asides()
        why = await refused(said(agent, session["sessionId"], "error now"))
        assert why.code == -32603 and "failed" in str(why) and "kirosu retry" in str(why), why


async def main():
    await asyncio.wait_for(globals()[sys.argv[1]](), 120)


asyncio.run(main())
