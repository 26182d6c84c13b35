"""A test agent that speaks ACP and does what the prompt says. Its folder has the state that outlives it."""
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

# Output before the first read, from the environment.
noise = os.environ.get("FAKE_NOISE", "")
sys.stdout.buffer.write(noise.encode().decode("unicode_escape").encode("latin-1"))
sys.stdout.flush()
if os.environ.get("FAKE_HANG"):
    time.sleep(600)
sessions = pathlib.Path("sessions.json")
known = json.loads(sessions.read_text()) if sessions.exists() else {}
mode, asked, listens = "auto", None, False


def send(**message):
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def update(which, **more):
    send(method="session/update", params={"sessionId": session, "update": {"sessionUpdate": which, **more}})


def say(text):
    update("agent_message_chunk", content={"type": "text", "text": text})


def modes():
    names = ["auto", "ask", "all"]
    return {"modes": {"currentModeId": mode, "availableModes": [{"id": it, "name": it} for it in names]}}


def read():
    line = sys.stdin.readline()
    if not line:
        sys.exit(0)
    return json.loads(line)


def ask(title):
    """Requests a permission as real agents do. Returns the chosen option, or None when the request was cancelled."""
    update("tool_call", toolCallId="t1", title=title, kind="execute", status="pending", name="shell", rawInput={"command": title})
    options = [("always", "allow_always"), ("once_and_auto_mode", "allow_once"), ("once", "allow_once"), ("no", "reject_once")]
    send(id="q-1", method="session/request_permission", params={
        "sessionId": session,
        "toolCall": {"toolCallId": "t1", "title": title, "kind": "execute", "rawInput": {"command": title}},
        "options": [{"optionId": i, "name": i, "kind": k} for i, k in options],
    })
    while True:
        message = read()
        if message.get("method") == "session/cancel":
            continue
        if message.get("id") == "q-1":
            return message["result"]["outcome"].get("optionId")


def choose(title):
    """Requests a choice between several options. Returns the chosen one, or None."""
    names = [("pg", "Postgres"), ("my", "MySQL"), ("sqlite", "SQLite")]
    send(id="q-2", method="session/request_permission", params={
        "sessionId": session,
        "toolCall": {"toolCallId": "t2", "title": title, "kind": "other"},
        "options": [{"optionId": i, "name": n, "kind": "allow_once"} for i, n in names],
    })
    while True:
        message = read()
        if message.get("id") == "q-2":
            return message["result"]["outcome"].get("optionId")


def offer(options):
    """Requests a permission with these options. Returns the outcome."""
    send(id="q-3", method="session/request_permission", params={
        "sessionId": session,
        "toolCall": {"toolCallId": "t6", "title": "x", "kind": "execute", "rawInput": {"command": "x"}},
        **({} if options is None else {"options": options}),
    })
    while True:
        message = read()
        if message.get("id") == "q-3":
            return message["result"]["outcome"]


def prompt(text):
    """Runs one turn. Returns the stop reason, or None when it has responded to the prompt itself."""
    global listens
    word, _, rest = text.partition(" ")
    listens = listens or "listen" in rest
    if text.startswith("The person refused"):
        # Repeats the reason, where the first prompt asked for it.
        if listens:
            say("I heard: " + text.splitlines()[0])
    elif word == "say":
        say(rest)
    elif word == "refused":
        # Refused by its service: words for a person, and no tokens.
        say(rest)
        send(id=turn, result={"stopReason": "end_turn"})
        return None
    elif word == "ask":
        chosen = ask(rest)
        if chosen is None:
            return "cancelled"
        if chosen == "no":
            if "mumble" in rest:
                say("Info: Operation cancelled by user")
            return "end_turn"
        pathlib.Path("ran.txt").open("a").write(f"{chosen}\n")
        update("tool_call_update", toolCallId="t1", status="completed")
        say("it ran")
    elif word == "offer":
        told = offer(json.loads(rest))
        say(f"told {told.get('optionId', told['outcome'])}")
    elif word == "noted":
        # The form of goose's own notices.
        send(method="_goose/unstable/session/update", params={"sessionId": session, "update": {
            "sessionUpdate": "status_message", "status": {"type": "notice", "message": rest}}})
    elif word == "behind":
        # Text without a line end before each message of the turn.
        for piece in rest.split():
            sys.stdout.write("Working... ")
            say(piece)
        sys.stdout.write("Update available 1.0 to 1.1 ")
    elif word == "then_silence":
        say(rest)
        while read().get("method") != "session/cancel":
            pass
        return "cancelled"
    elif word == "choose":
        say(f"chose {choose(rest)}")
    elif word == "mode":
        say(mode)
    elif word == "turns":
        say(str(known[session]))
    elif word == "pid":
        say(str(os.getpid()))
    elif word == "die":
        # The first time only.
        if known[session] == 1:
            say("half")
            os.kill(os.getpid(), signal.SIGKILL)
        say("went on")
    elif word == "garbage":
        print("this is no message\n\n[1, 2]")
        sys.stdout.flush()
        update("something_of_next_year", content={"type": "text", "text": "x"})
        send(id=77, method="cursor/ask_question", params={})
        while read().get("id") != 77:
            pass
        say("still here")
    elif word == "error":
        send(id=turn, error=json.loads(rest))
        return None
    elif word == "notice":
        update("notice", severity="warning", title='MCP server "dies" failed to start', description="its tools are missing")
        say("**MCP server \"other\" failed to start:** look at its log\n\n")
        update("tool_call", toolCallId="mcp_startup.third.1", title="mcp__third__startup", status="failed",
               content=[{"type": "content", "content": {"type": "text", "text": "third is not there"}}])
        say(rest)
    elif word == "slowly":
        # The tool's arguments come in a later message, as from real agents.
        update("tool_call", toolCallId="t4", title="Terminal", kind="execute", status="pending", name="shell", rawInput={"cwd": "/"})
        update("tool_call_update", toolCallId="t4", rawInput={"command": rest})
        update("tool_call_update", toolCallId="t4", status="completed", rawOutput="a\nb")
        update("tool_call_update", toolCallId="t5", title=rest, kind="execute", status="completed", name="shell", content=[])
    elif word == "tool":
        update("tool_call", toolCallId="t3", title=rest, kind="execute", status="completed", name="shell")
    elif word == "last_words":
        say("I begin.")
        update("tool_call", toolCallId="t0", title="ls", kind="execute", status="completed", name="shell")
        say(rest)
    elif word == "wait":
        say("I begin.") if rest.startswith("+") else None
        sys.stderr.write(rest.lstrip("+") + "\n")
        sys.stderr.flush()
        while read().get("method") != "session/cancel":
            pass
        return "cancelled"
    elif word == "raw":
        # The rest follows `"text":`, escaped as in a Python bytes literal.
        body = rest.encode().decode("unicode_escape").encode("latin-1")
        head = json.dumps({"jsonrpc": "2.0", "method": "session/update", "params": {"sessionId": session, "update": {
            "sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": "@"}}}})
        before, after = head.encode().split(b'"@"')
        sys.stdout.buffer.write(before + body + after + b"\n")
        sys.stdout.flush()
    elif word in ("glued", "batch"):
        messages = [
            {"jsonrpc": "2.0", "method": "session/update", "params": {"sessionId": session, "update": {
                "sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": rest}}}},
            {"jsonrpc": "2.0", "id": turn, "result": {"stopReason": "end_turn"}},
        ]
        line = json.dumps(messages) if word == "batch" else "".join(map(json.dumps, messages))
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
        return None
    elif word == "late":
        # Pieces of the answer after the response to the prompt. A first piece with + comes before it.
        pieces = rest.split()
        if pieces[0].startswith("+"):
            say(pieces.pop(0)[1:])
        send(id=turn, result={"stopReason": "end_turn"})
        for piece in pieces:
            time.sleep(0.05)
            say(piece)
        return None
    elif word == "flood":
        for _ in range(int(rest)):
            say("x" * 1_000_000)
    elif word == "last":
        # The output fits the pipe, and the agent exits before it is read.
        for _ in range(int(rest)):
            say("x")
        sys.exit(3)
    elif word == "nag":
        while True:
            send(id=0, method="x" * 8000)
    elif word == "endless":
        while True:
            sys.stdout.write("x" * 65536)
    elif word == "sleep":
        say("sleeping")
        while read().get("method") != "session/cancel":
            pass
        return "cancelled"
    elif word == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        script = "import os,signal,time\nos.setsid()\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nif os.fork(): os._exit(0)\ntime.sleep(600)"
        for _ in range(3):
            subprocess.Popen([sys.executable, "-c", script]).wait()
        say("dug in")
        time.sleep(600)
    elif word == "background":
        # A process that a tool leaves behind. Its own parent is gone.
        script = "(setsid sh -c 'trap \"\" TERM; sleep 1; echo late >> late.txt; sleep 600' >/dev/null 2>&1 &)"
        subprocess.run(["sh", "-c", script], check=True)
        say(str(os.getpid()))
    elif word == "child":
        subprocess.Popen(["sleep", "600"])
        say(str(os.getpid()))
    elif word == "stop":
        return rest
    elif word == "mcp":
        say(json.dumps(servers))
    return "end_turn"


servers = []
session, turn = "", 0
while True:
    message = read()
    method, params, i = message.get("method"), message.get("params", {}), message.get("id")
    if method == "initialize":
        capabilities = {"loadSession": True, "mcpCapabilities": {"http": True}, "sessionCapabilities": {"resume": {}}}
        send(id=i, result={"protocolVersion": 1, "agentCapabilities": capabilities, "authMethods": [{"id": "x", "name": "Log in with X"}]})
    elif method == "session/new":
        if os.environ.get("FAKE_LOGIN"):
            send(id=i, error={"code": -32000, "message": "Authentication required"})
            continue
        session, mode, servers = f"s{len(known) + 1}", "auto", params["mcpServers"]
        known[session] = 0
        models = {"models": {"currentModelId": "m1", "availableModels": [{"modelId": "m1", "name": "M1"}]}}
        send(id=i, result={"sessionId": session, **modes(), **(models if os.environ.get("FAKE_MODEL_ERROR") else {})})
    elif method == "session/resume":
        if params["sessionId"] == "deadly":
            sys.exit(0)
        if params["sessionId"] not in known:
            send(id=i, error={"code": -32603, "message": "Internal error", "data": {"details": "no such session"}})
            continue
        session, mode = params["sessionId"], "auto"
        send(id=i, result=modes())
    elif method == "session/set_mode":
        mode = params["modeId"]
        update("current_mode_update", currentModeId=mode)
        send(id=i, result={})
    elif method == "session/set_model" and os.environ.get("FAKE_MODEL_ERROR"):
        send(id=i, error=json.loads(os.environ["FAKE_MODEL_ERROR"]))
    elif method == "session/prompt":
        known[session] += 1
        sessions.write_text(json.dumps(known))
        text = params["prompt"][0]["text"]
        turn = i
        reason = prompt(text)
        if reason is None:
            continue
        turns = known[session]
        update("usage_update", used=1, size=2, cost={"amount": 0.001 * turns, "currency": "USD"})
        update("usage_update", used=1, size=2, cost=None)
        send(id=i, result={"stopReason": reason, "usage": {"inputTokens": 1200 * turns, "outputTokens": 34 * turns}})
    elif i is not None:
        send(id=i, error={"code": -32601, "message": "no such method"})
