#!/usr/bin/env python3
"""stub_model.py - a model that answers what it is told to, for real agent programs without a network.

Python's standard library only; listens on loopback, is bounded in time and requests, ends by itself. It speaks

  OpenAI     POST /v1/responses, /v1/chat/completions (SSE and JSON), GET /v1/models
  Anthropic  POST /v1/messages (SSE and JSON), /v1/messages/count_tokens
  Gemini     POST /v1beta/models/M:generateContent, :streamGenerateContent, :countTokens

Directives in the newest user text decide the answer:
  [[say TEXT]]            answers TEXT exactly
  [[call NAME {json}]]    calls tool NAME with these arguments (several: one after the other)
  [[sleep SECONDS]]       streams a "tick" every 0.25 s for so long
  [[error CODE]]          answers with this HTTP status
  [[refuse KIND SECONDS]] refuses as the API's service does (refusals.py); SECONDS until it may be asked again, where it says so
  none of them            "STUB <api> turn=<n>: <first 60 characters of the user text>"
When the last [[call]] has its result the answer is "TOOL SAID: <result>".
Figures are always the same: input 1200 (200 of them cached), output 34 (4 of them reasoning).

With --log FILE every request is a line of JSON there; "turn" counts the directives of
its conversation, so the prompts of it (some programs join prompts that have no answer between them).
With --lo the loopback interface is brought up first, which a new network namespace needs.
"""
import argparse, json, os, re, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

sys.dont_write_bytecode = True
from refusals import refusal

IN, CACHED, OUT, REASON = 1200, 200, 34, 4
NOW = 1_700_000_000
lock = threading.Lock()
state = {"n": 0}
ARGS = None

DIR = re.compile(r"\[\[(say|call|sleep|error|refuse)\s+(.*?)\]\]", re.S)


def text_of(content):
    """Any provider's message content -> plain text (tool results excluded)."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    out = []
    for b in content:
        if isinstance(b, str):
            out.append(b)
        elif isinstance(b, dict) and isinstance(b.get("text"), str):
            out.append(b["text"])
    return "\n".join(out)


def result_text(c):
    if isinstance(c, str):
        return c
    if isinstance(c, list):
        return "\n".join(result_text(x.get("text") if isinstance(x, dict) and "text" in x else x) for x in c)
    return json.dumps(c, sort_keys=True)


def events_of(api, body):
    ev = []
    if api == "responses":
        inp = body.get("input")
        if isinstance(inp, str):
            ev.append(("user", inp))
        for it in inp if isinstance(inp, list) else []:
            t = it.get("type", "message")
            if t == "message":
                ev.append((it.get("role"), text_of(it.get("content"))))
            elif t in ("function_call_output", "custom_tool_call_output"):
                ev.append(("tool", result_text(it.get("output"))))
    elif api == "chat":
        for m in body.get("messages", []):
            if m.get("role") == "tool":
                ev.append(("tool", result_text(m.get("content"))))
            else:
                ev.append((m.get("role"), text_of(m.get("content"))))
    elif api == "anthropic":
        for m in body.get("messages", []):
            c = m.get("content")
            if isinstance(c, list):
                for b in c:
                    if b.get("type") == "tool_result":
                        ev.append(("tool", result_text(b.get("content"))))
                    elif b.get("type") == "text":
                        ev.append((m.get("role"), b["text"]))
            else:
                ev.append((m.get("role"), text_of(c)))
    elif api == "gemini":
        for m in body.get("contents", []):
            role = "assistant" if m.get("role") == "model" else "user"
            for p in m.get("parts", []):
                if "functionResponse" in p:
                    ev.append(("tool", result_text(p["functionResponse"].get("response"))))
                elif p.get("text"):
                    ev.append((role, p["text"]))
    return ev


def from_schema(s):
    """Smallest value that fits a JSON schema: side requests (titles, routers) want JSON."""
    if not isinstance(s, dict):
        return "stub"
    if "enum" in s:
        return s["enum"][0]
    if "const" in s:
        return s["const"]
    for k in ("anyOf", "oneOf", "allOf"):
        if s.get(k):
            return from_schema(s[k][0])
    t = s.get("type", "object" if "properties" in s else "string")
    if isinstance(t, list):
        t = [x for x in t if x != "null"][0]
    t = t.lower()
    if t == "object":
        props = s.get("properties", {})
        return {k: from_schema(v) for k, v in props.items()}
    if t == "array":
        return []
    if t in ("number", "integer"):
        return 1
    if t == "boolean":
        return False
    return "stub"


WRAP = re.compile(r"<([a-zA-Z_][\w.-]*)(?:\s[^<>]*)?>.*?</\1>", re.S)


def bare(t):
    """User text less the <tag>..</tag> blocks that agents wrap around it (dates, reminders, environment)."""
    while True:
        n = WRAP.sub("", t)
        if n == t:
            return n.strip()
        t = n


def decide(api, body):
    """-> ('text', str) | ('call', name, args) | ('sleep', secs) | ('error', code) | ('refuse', kind and seconds)"""
    ev = [(r, bare(t) if r == "user" else t) for r, t in events_of(api, body)]
    turn = len([t for r, t in ev if r == "user" and t])
    at = None
    for i, (r, t) in enumerate(ev):
        if r == "user" and t:
            at = i
    schema = None
    try:
        schema = (body.get("generationConfig", {}).get("responseJsonSchema") or body.get("generationConfig", {}).get("responseSchema")
                  or (body.get("response_format") or {}).get("json_schema", {}).get("schema")
                  or ((body.get("text") or {}).get("format") or {}).get("schema")
                  or ((body.get("output_config") or {}).get("format") or {}).get("schema")
                  or (body.get("output_format") or {}).get("schema"))
    except AttributeError:
        pass
    if schema:
        return ("text", json.dumps(from_schema(schema)))
    if at is None:
        return ("text", f"STUB {api} turn={turn}: (no user text)")
    text = ev[at][1]
    tools = [t for r, t in ev[at + 1:] if r == "tool"]
    calls = []
    for kind, arg in DIR.findall(text):
        arg = arg.strip()
        if kind == "error":
            return ("error", int(arg))
        if kind == "refuse":
            return ("refuse", arg)
        if kind == "sleep":
            return ("sleep", min(float(arg), 60.0))
        if kind == "say":
            return ("text", arg)
        if kind == "call":
            name, _, js = arg.partition(" ")
            calls.append((name, js.strip() or "{}"))
    if len(tools) < len(calls):
        name, js = calls[len(tools)]
        return ("call", name, js)
    if calls:
        return ("text", "TOOL SAID: " + tools[-1][:400])
    return ("text", f"STUB {api} turn={turn}: " + text.strip()[:60])


def pieces(s):
    return [s[i:i + 12] for i in range(0, len(s), 12)] or [""]


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """Clients are killed in the middle of requests here: that is nothing to tell."""


class H(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "stub-model/1"

    def log_message(self, *a):
        pass

    # -- plumbing
    def note(self, api, body, what):
        rec = {"n": state["n"], "method": self.command, "path": self.path, "api": api,
               "user_agent": self.headers.get("user-agent"),
               "auth": [h for h in ("authorization", "x-api-key", "x-goog-api-key") if self.headers.get(h)],
               "model": (body or {}).get("model"), "stream": (body or {}).get("stream"),
               "tools": [((t.get("function") or {}).get("name") or t.get("name") or t.get("type") or
                          [f.get("name") for f in t.get("functionDeclarations", [])]) for t in (body or {}).get("tools") or []],
               "answer": what}
        if isinstance(what, tuple):
            said = [bare(t) for r, t in events_of(api.split(":")[0], body) if r == "user"]
            rec["turn"] = sum(len(DIR.findall(t)) for t in said)
        with lock:
            if ARGS.log:
                with open(ARGS.log, "a") as f:
                    f.write(json.dumps(rec) + "\n")

    def count(self):
        with lock:
            state["n"] += 1
            if state["n"] >= ARGS.max_requests:
                threading.Thread(target=self.server.shutdown, daemon=True).start()

    def send_json(self, obj, code=200):
        b = json.dumps(obj).encode()
        self.send_response(code)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(b)))
        self.end_headers()
        self.wfile.write(b)

    def start_stream(self, ctype="text/event-stream"):
        self.send_response(200)
        self.send_header("content-type", ctype)
        self.send_header("cache-control", "no-cache")
        self.send_header("connection", "close")
        self.end_headers()
        self.close_connection = True

    def sse(self, obj, event=None):
        s = (f"event: {event}\n" if event else "") + "data: " + (obj if isinstance(obj, str) else json.dumps(obj)) + "\n\n"
        self.wfile.write(s.encode())
        self.wfile.flush()

    def line(self, obj):
        self.wfile.write((json.dumps(obj) + "\n").encode())
        self.wfile.flush()

    def deltas(self, act):
        if act[0] == "sleep":
            end = time.monotonic() + act[1]
            k = 0
            while time.monotonic() < end:
                yield f"tick{k} "
                k += 1
                time.sleep(0.25)
            yield "done"
        else:
            yield from pieces(act[1])

    # -- GET
    def do_HEAD(self):
        self.count()
        self.note("head", None, "ok")
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def do_GET(self):
        self.count()
        p = self.path.split("?")[0]
        self.note("get", None, "ok")
        if p.endswith("/models"):
            self.send_json({"object": "list", "data": [{"id": "stub-model", "object": "model", "created": NOW, "owned_by": "stub"}]})
        else:
            self.send_json({"error": {"message": "stub: no such path " + p, "type": "not_found_error"}}, 404)

    # -- POST
    def do_POST(self):
        self.count()
        n = int(self.headers.get("content-length") or 0)
        raw = self.rfile.read(n) if n else b""
        if (self.headers.get("transfer-encoding") or "").lower() == "chunked":
            raw = b""
            while True:
                size = int(self.rfile.readline().strip() or b"0", 16)
                if size == 0:
                    self.rfile.readline()
                    break
                raw += self.rfile.read(size)
                self.rfile.readline()
        if self.headers.get("content-encoding") == "gzip":
            import gzip
            raw = gzip.decompress(raw)
        try:
            body = json.loads(raw or b"{}")
        except ValueError:
            body = {}
        p = self.path.split("?")[0]
        try:
            if p.endswith("/responses"):
                return self.api_responses(body)
            if p.endswith("/chat/completions"):
                return self.chat(body)
            if p.endswith("/messages/count_tokens"):
                self.note("anthropic-count", body, "ok")
                return self.send_json({"input_tokens": IN})
            if p.endswith("/messages"):
                return self.anthropic(body)
            if ":" in p.rsplit("/", 1)[-1] and "/models/" in p:
                return self.gemini(p, body)
            self.note("unknown", body, "404")
            self.send_json({"error": {"message": "stub: no such path " + p, "type": "not_found_error"}}, 404)
        except (BrokenPipeError, ConnectionResetError):
            self.note("client-gone", None, p)

    def fail(self, api, act):
        if act[0] == "refuse":
            return self.refuse(api, act[1])
        code = act[1]
        kind = {400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "not_found_error",
                413: "request_too_large", 429: "rate_limit_error", 529: "overloaded_error"}.get(code, "api_error")
        status = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED"}.get(code, "INTERNAL")
        self.send_json({"type": "error", "error": {"type": kind, "message": f"stub error {code}", "code": code, "status": status}}, code)

    def refuse(self, api, what):
        kind, _, seconds = what.partition(" ")
        status, headers, body = refusal(api, kind, int(seconds or 3600))
        is_page = isinstance(body, str)
        raw = (body if is_page else json.dumps(body)).encode()
        self.send_response(status)
        self.send_header("content-type", "text/html" if is_page else "application/json")
        self.send_header("content-length", str(len(raw)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)

    # OpenAI Responses
    def api_responses(self, body):
        act = decide("responses", body)
        self.note("responses", body, act)
        if act[0] in ("error", "refuse"):
            return self.fail("responses", act)
        rid = f"resp_{state['n']:04d}"
        usage = {"input_tokens": IN, "input_tokens_details": {"cached_tokens": CACHED}, "output_tokens": OUT,
                 "output_tokens_details": {"reasoning_tokens": REASON}, "total_tokens": IN + OUT}
        base = {"id": rid, "object": "response", "created_at": NOW, "model": body.get("model", "stub-model"), "status": "in_progress",
                "output": [], "error": None, "incomplete_details": None, "parallel_tool_calls": False, "tool_choice": "auto", "tools": []}
        if act[0] == "call":
            custom = any(t.get("type") == "custom" and t.get("name") == act[1] for t in body.get("tools") or [])
            if custom:
                item = {"type": "custom_tool_call", "id": "ctc_1", "call_id": f"call_{state['n']}", "name": act[1], "input": act[2], "status": "completed"}
            else:
                name, ns = act[1], None
                if "/" in name:
                    ns, name = name.split("/", 1)
                item = {"type": "function_call", "id": "fc_1", "call_id": f"call_{state['n']}", "name": name, "arguments": act[2], "status": "completed"}
                if ns:
                    item["namespace"] = ns
        else:
            full = "".join(self.deltas(act)) if not body.get("stream") else None
            item = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
                    "content": [{"type": "output_text", "text": full or "", "annotations": []}]}
        if not body.get("stream"):
            return self.send_json({**base, "status": "completed", "output": [item], "usage": usage})
        self.start_stream()
        seq = 0

        def ev(t, **kw):
            nonlocal seq
            self.sse({"type": t, "sequence_number": seq, **kw}, t)
            seq += 1
        ev("response.created", response=base)
        ev("response.in_progress", response=base)
        if act[0] == "call":
            ev("response.output_item.added", output_index=0, item={**item, "status": "in_progress"})
            if item["type"] == "function_call":
                ev("response.function_call_arguments.delta", output_index=0, item_id="fc_1", delta=item["arguments"])
                ev("response.function_call_arguments.done", output_index=0, item_id="fc_1", arguments=item["arguments"])
            ev("response.output_item.done", output_index=0, item=item)
        else:
            ev("response.output_item.added", output_index=0, item={**item, "status": "in_progress", "content": []})
            ev("response.content_part.added", output_index=0, content_index=0, item_id="msg_1", part={"type": "output_text", "text": "", "annotations": []})
            got = ""
            for d in self.deltas(act):
                got += d
                ev("response.output_text.delta", output_index=0, content_index=0, item_id="msg_1", delta=d)
            item["content"][0]["text"] = got
            ev("response.output_text.done", output_index=0, content_index=0, item_id="msg_1", text=got)
            ev("response.content_part.done", output_index=0, content_index=0, item_id="msg_1", part=item["content"][0])
            ev("response.output_item.done", output_index=0, item=item)
        ev("response.completed", response={**base, "status": "completed", "output": [item], "usage": usage})

    # OpenAI chat completions
    def chat(self, body):
        act = decide("chat", body)
        self.note("chat", body, act)
        if act[0] in ("error", "refuse"):
            return self.fail("chat", act)
        usage = {"prompt_tokens": IN, "completion_tokens": OUT, "total_tokens": IN + OUT,
                 "prompt_tokens_details": {"cached_tokens": CACHED}, "completion_tokens_details": {"reasoning_tokens": REASON}}
        model = body.get("model", "stub-model")
        cid = f"chatcmpl-{state['n']:04d}"
        call = [{"index": 0, "id": f"call_{state['n']}", "type": "function", "function": {"name": act[1], "arguments": act[2]}}] if act[0] == "call" else None
        if not body.get("stream"):
            msg = {"role": "assistant", "content": None if call else "".join(self.deltas(act))}
            if call:
                msg["tool_calls"] = call
            return self.send_json({"id": cid, "object": "chat.completion", "created": NOW, "model": model,
                                   "choices": [{"index": 0, "message": msg, "finish_reason": "tool_calls" if call else "stop"}], "usage": usage})
        self.start_stream()

        def ch(delta, fin=None, **kw):
            self.sse({"id": cid, "object": "chat.completion.chunk", "created": NOW, "model": model,
                      "choices": [{"index": 0, "delta": delta, "finish_reason": fin}], **kw})
        ch({"role": "assistant", "content": None if call else ""})
        if call:
            ch({"tool_calls": call})
            ch({}, "tool_calls")
        else:
            for d in self.deltas(act):
                ch({"content": d})
            ch({}, "stop")
        if (body.get("stream_options") or {}).get("include_usage"):
            self.sse({"id": cid, "object": "chat.completion.chunk", "created": NOW, "model": model, "choices": [], "usage": usage})
        self.sse("[DONE]")

    # Anthropic messages
    def anthropic(self, body):
        act = decide("anthropic", body)
        self.note("anthropic", body, act)
        if act[0] in ("error", "refuse"):
            return self.fail("anthropic", act)
        mid = f"msg_{state['n']:04d}"
        u0 = {"input_tokens": IN - CACHED, "cache_creation_input_tokens": 0, "cache_read_input_tokens": CACHED, "output_tokens": 1}
        model = body.get("model", "stub-model")
        if act[0] == "call":
            try:
                inp = json.loads(act[2])
            except ValueError:
                inp = {}
            block = {"type": "tool_use", "id": f"toolu_{state['n']:04d}", "name": act[1], "input": inp}
            stop = "tool_use"
        else:
            block = {"type": "text", "text": ""}
            stop = "end_turn"
        if not body.get("stream"):
            if block["type"] == "text":
                block["text"] = "".join(self.deltas(act))
            return self.send_json({"id": mid, "type": "message", "role": "assistant", "model": model, "content": [block],
                                   "stop_reason": stop, "stop_sequence": None, "usage": {**u0, "output_tokens": OUT}})
        self.start_stream()

        def ev(t, **kw):
            self.sse({"type": t, **kw}, t)
        ev("message_start", message={"id": mid, "type": "message", "role": "assistant", "model": model, "content": [],
                                     "stop_reason": None, "stop_sequence": None, "usage": u0})
        ev("content_block_start", index=0, content_block={**block, "input": {}} if stop == "tool_use" else block)
        if stop == "tool_use":
            ev("content_block_delta", index=0, delta={"type": "input_json_delta", "partial_json": act[2]})
        else:
            for d in self.deltas(act):
                ev("content_block_delta", index=0, delta={"type": "text_delta", "text": d})
        ev("content_block_stop", index=0)
        ev("message_delta", delta={"stop_reason": stop, "stop_sequence": None}, usage={"output_tokens": OUT})
        ev("message_stop")

    # Gemini
    def gemini(self, p, body):
        verb = p.rsplit(":", 1)[-1]
        if verb == "countTokens":
            self.note("gemini-count", body, "ok")
            return self.send_json({"totalTokens": IN})
        act = decide("gemini", body)
        self.note("gemini:" + verb, body, act)
        if act[0] in ("error", "refuse"):
            return self.fail("gemini", act)
        usage = {"promptTokenCount": IN, "cachedContentTokenCount": CACHED, "candidatesTokenCount": OUT - REASON,
                 "thoughtsTokenCount": REASON, "totalTokenCount": IN + OUT}
        model = p.split("/models/")[-1].split(":")[0]

        def chunk(parts, fin=None):
            c = {"content": {"role": "model", "parts": parts}, "index": 0}
            if fin:
                c["finishReason"] = fin
            o = {"candidates": [c], "modelVersion": model, "responseId": f"r{state['n']}"}
            if fin:
                o["usageMetadata"] = usage
            return o
        if act[0] == "call":
            try:
                a = json.loads(act[2])
            except ValueError:
                a = {}
            parts = [{"functionCall": {"name": act[1], "args": a}}]
        else:
            parts = None
        if verb != "streamGenerateContent":
            return self.send_json(chunk(parts or [{"text": "".join(self.deltas(act))}], "STOP"))
        self.start_stream()
        if parts:
            self.sse(chunk(parts, "STOP"))
        else:
            for d in self.deltas(act):
                self.sse(chunk([{"text": d}]))
            self.sse(chunk([{"text": ""}], "STOP"))


def loopback_up():
    import fcntl, socket, struct
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        # SIOCSIFFLAGS, IFF_UP | IFF_RUNNING
        fcntl.ioctl(s, 0x8914, struct.pack("16sh14x", b"lo", 0x41))


def main():
    global ARGS
    ap = argparse.ArgumentParser()
    ap.add_argument("--port", type=int, default=0)
    ap.add_argument("--port-file")
    ap.add_argument("--log")
    ap.add_argument("--lo", action="store_true", help="bring up the loopback interface")
    ap.add_argument("--max-seconds", type=float, default=120)
    ap.add_argument("--max-requests", type=int, default=2000)
    ARGS = ap.parse_args()
    if ARGS.lo:
        loopback_up()
    srv = Server(("127.0.0.1", ARGS.port), H)
    if ARGS.port_file:
        with open(ARGS.port_file + ".tmp", "w") as f:
            f.write(str(srv.server_port))
        os.replace(ARGS.port_file + ".tmp", ARGS.port_file)
    else:
        print(srv.server_port, flush=True)
    t = threading.Timer(ARGS.max_seconds, srv.shutdown)
    t.daemon = True
    t.start()
    srv.serve_forever(poll_interval=0.1)


if __name__ == "__main__":
    main()
