"""What the scenarios of the official MCP client share: the connections, calls that go well and calls that are refused.

tools.json holds all tools, so that a new one must be added there and be called by the scenario `every_tool`.
"""

import asyncio
import json
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx2
import jsonschema
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

with open(Path(__file__).parent / "tools.json", encoding="utf-8") as table:
    TOOLS = json.load(table)
with open(sys.argv[2], encoding="utf-8") as setup:
    SETUP = json.load(setup)


@asynccontextmanager
async def connected(setup=SETUP, **more):
    """A client over the transport that the setup names, with further options of the client."""
    mode = setup["mode"]
    if "stdio" in setup:
        stdio = setup["stdio"]
        server = StdioServerParameters(
            command=stdio["command"], args=stdio["arguments"], env=stdio["environment"], cwd=stdio.get("folder")
        )
        async with Client(server, mode=mode, **more) as client:
            yield client
        return
    async with httpx2.AsyncClient(headers=setup.get("headers"), timeout=60) as http:
        async with Client(streamable_http_client(setup["url"], http_client=http), mode=mode, **more) as client:
            yield client


# The schemas of results, once they are listed, and the tools that were called.
SCHEMAS, CALLED = {}, set()


async def call(client, name, /, **arguments):
    """A call that goes well; its facts, which fit the tool's schema."""
    CALLED.add(name)
    return facts(name, await client.call_tool(name, arguments))


def facts(name, result):
    assert not result.is_error, (name, result.content)
    # The text is the same, for clients that know no structured content.
    assert json.loads(result.content[0].text) == result.structured_content
    assert result.structured_content["message"]
    if name in SCHEMAS:
        jsonschema.validate(result.structured_content, SCHEMAS[name])
    return result.structured_content


async def refused(client, name, /, **arguments):
    """A call that is refused; the sentence."""
    CALLED.add(name)
    result = await client.call_tool(name, arguments)
    assert result.is_error, (name, result.structured_content)
    return result.content[0].text


class Worker:
    """A connection to the hub itself."""

    @classmethod
    async def connect(cls):
        worker = cls()
        worker.reader, worker.writer = await asyncio.open_connection("127.0.0.1", SETUP["hub"]["port"], limit=1 << 24)
        return worker

    async def ask(self, method, **params):
        if SETUP["hub"].get("key"):
            params["auth_token"] = SETUP["hub"]["key"]
        self.writer.write(json.dumps({"id": 1, "method": method, "params": params}).encode() + b"\n")
        answer = json.loads(await self.reader.readline())
        assert answer["error"] is None, answer
        return answer["result"]

    async def lease(self, queue):
        tasks = (await self.ask("lease", worker_id="w-1", queues=[queue], wait_seconds=20))["tasks"]
        assert len(tasks) == 1, tasks
        return {"task_id": tasks[0]["task_id"], "fence": tasks[0]["fence"]}

    async def connections(self):
        return len((await self.ask("agents", all=True))["connections"])


class Progress:
    """What a call reported, and a way to wait for some of it."""

    def __init__(self):
        self.told = []
        self.more = anyio.Event()

    async def __call__(self, progress, total, message):
        self.told.append((progress, message))
        self.more.set()
        self.more = anyio.Event()

    async def until(self, part):
        with anyio.fail_after(30):
            while not any(part in message for _, message in self.told):
                await self.more.wait()

    def check(self):
        numbers = [number for number, _ in self.told]
        assert numbers == sorted(set(numbers)), numbers


def ask_the_test(line):
    """Asks tests/end_to_end/mcp/ for something and waits until it is done."""
    print(line, flush=True)
    assert sys.stdin.readline().strip() == "done"
