"""The world of the tries, and requests, processes and files that several of them need."""
import json, os, pathlib, socket, subprocess, sys, threading, time

WORLD = json.load(open(sys.argv[1]))
NAME = sys.argv[2]
KIROSU, HOST, PORT, DATA = WORLD["kirosu"], "127.0.0.1", WORLD["port"], pathlib.Path(WORLD["data"])
KEY_FILE, STORE = DATA / "hub.key", DATA / "kirosu.db"
LIFE = 90  # seconds after which a process that a try leaves behind ends by itself


def libc():
    # Imported where it is needed, as others: each try is a process of its own, and most need none of them.
    import ctypes
    return ctypes, ctypes.CDLL(None, use_errno=True)


def field(pid, name):
    for line in open(f"/proc/{pid}/status"):
        if line.startswith(name + ":"):
            return line.split(":", 1)[1].strip()


def ancestors(pid="self"):
    found = []
    at = int(field(pid, "PPid"))
    while at > 1:
        found.append(at)
        at = int(field(at, "PPid"))
    return found


def runner():
    return next(pid for pid in ancestors() if field(pid, "Name") == "kirosu-runner")


def variable(pid, name):
    for pair in open(f"/proc/{pid}/environ", "rb").read().split(b"\0"):
        if pair.startswith(name.encode() + b"="):
            return pair.split(b"=", 1)[1].decode()


def token():
    """The token of the own run: an agent program may withhold it from its tools, but has it."""
    if os.environ.get("KIROSU_TOKEN"):
        return os.environ["KIROSU_TOKEN"]
    for pid in ancestors():
        try:
            found = variable(pid, "KIROSU_TOKEN")
        except OSError:
            continue
        if found:
            return found
    raise SystemError("no token found")


def key():
    return KEY_FILE.read_text().strip()


def ask(method, auth=None, **params):
    """-> (whether the hub did it, its answer)"""
    if auth is not None:
        params["auth_token"] = auth
    with socket.create_connection((HOST, PORT), timeout=20) as s:
        s.sendall(json.dumps({"id": 1, "method": method, "params": params}).encode() + b"\n")
        line = s.makefile().readline()
    answer = json.loads(line)
    return answer.get("error") is None, line


def each(*attempts):
    """Whether one of these attempts succeeds, and what was said. Side by side, because the hub lets a wrong key wait."""
    said = [(False, "not ended")] * len(attempts)

    def run(at):
        try:
            said[at] = attempts[at]()
        except Exception as error:
            said[at] = (False, str(error))

    threads = [threading.Thread(target=run, args=(at,)) for at in range(len(attempts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    good = [text for done, text in said if done]
    return bool(good), good[0] if good else " | ".join(str(text).strip()[-110:] for _, text in said)


def with_auth(method, **params):
    """The same request with the token, with the hub's key, and without either."""
    return each(lambda: ask(method, token(), **params), lambda: ask(method, key(), **params), lambda: ask(method, **params))


def http(path, body=None, method=None, **headers):
    import urllib.error, urllib.request
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(f"http://{WORLD['rest']}{path}", body, headers, method=method)
    try:
        return True, urllib.request.urlopen(request, timeout=20).read().decode()
    except urllib.error.HTTPError as refused:
        return False, refused.read().decode()


def clean():
    """Nothing of the run, and the settings of the hub's user: the command line finds the key by them."""
    return {"PATH": os.environ["PATH"], "HOME": WORLD["home"], "KIROSU_CONFIG": WORLD["settings"]}


def with_token():
    return {**os.environ, "KIROSU_TOKEN": token()}


def kirosu(*words, env=None, stdin=subprocess.DEVNULL, **more):
    outcome = subprocess.run([KIROSU, *words, "--port", str(PORT)], env=env or with_token(), stdin=stdin, capture_output=True, text=True, timeout=60, **more)
    return outcome.returncode == 0, outcome.stdout + outcome.stderr


def on_terminal(*words):
    """With a terminal of its own making and the key that it finds."""
    command = " ".join([KIROSU, *words, "--port", str(PORT)])
    outcome = subprocess.run(["script", "-qec", command, "/dev/null"], env=clean(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    return outcome.returncode == 0, outcome.stdout + outcome.stderr


def mcp(tool, arguments, env, *words):
    lines = [
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": tool, "arguments": arguments}},
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    outcome = subprocess.run([KIROSU, "mcp", *words, "--port", str(PORT)], env=env, input=text, capture_output=True, text=True, timeout=60)
    answers = [json.loads(line) for line in outcome.stdout.splitlines()]
    answer = next((it for it in answers if it.get("id") == 2), {"error": outcome.stderr})
    return "error" not in answer and not answer["result"].get("isError"), json.dumps(answer)


def away(do):
    """Runs `do` in an orphan with a session of its own and nothing of the run in its environment; its process id."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.write(writing, str(os.getpid()).encode())
            os.close(writing)
            null = os.open(os.devnull, os.O_RDWR)
            for number in range(3):
                os.dup2(null, number)
            # A new program, because the environment at the start stays readable.
            os.execve(sys.executable, [sys.executable, sys.argv[0], sys.argv[1], do], {"PATH": os.environ["PATH"]})
        os._exit(0)
    os.wait()
    os.close(writing)
    pid = int(os.read(reading, 32))
    os.close(reading)
    return pid


def left(pid):
    """Records a process that should not survive its run."""
    with open("left", "a") as file:
        file.write(f"{NAME} {pid}\n")


def shows(text, secret):
    return secret in text, ("found: " if secret in text else "not found in: ") + text[-200:]


def reads(path, wanted=b""):
    content = open(path, "rb").read()
    return wanted in content, f"{len(content)} bytes"


def writes(path, text="planted by an agent\n"):
    with open(path, "a") as file:
        file.write(text)
    return True, "written"


def unchanged(path):
    """Opens an existing file for writing, and writes what it begins with."""
    with open(path, "r+b", buffering=0) as file:
        start = file.read(16)
        file.seek(0)
        file.write(start)
    return True, "written"


def other_cgroup():
    """A cgroup of version 2 that is not the one of this run: the one above the run's group."""
    mount = next(line.split()[1] for line in open("/proc/mounts") if line.split()[2] == "cgroup2")
    own = next(line.strip().split(":")[2] for line in open("/proc/self/cgroup") if line.startswith("0:"))
    return pathlib.Path(mount, own.lstrip("/")).parent


def move_away(pid):
    # The group of the host's own processes, or the one above.
    above = other_cgroup()
    problems = []
    for group in (above / "host", above, above.parent):
        try:
            (group / "cgroup.procs").write_text(str(pid))
            return group
        except OSError as error:
            problems.append(str(error))
    raise OSError("; ".join(problems))


def report(done, said):
    line = f"{NAME} {'yes' if done else 'no'} {' '.join(str(said).split())[:300]}"
    print(line, flush=True)
    with open("outcomes", "a") as file:
        file.write(line + "\n")


def waits_for(name, pid, seconds=20):
    """What a process writes to a file. Bounded."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not os.path.exists(name):
        time.sleep(0.05)
    if not os.path.exists(name):
        return False, f"process {pid} has written nothing"
    done, _, said = pathlib.Path(name).read_text().partition("\n")
    return done == "True", said


def by_terminal_server(command):
    """By a terminal of the hub's user, whose server takes commands at a socket."""
    mark = pathlib.Path(WORLD["outside"], f"by-terminal-{NAME}")
    script = f"{command}; echo $? > {mark}"
    outcome = subprocess.run(["tmux", "-S", WORLD["tmux"], "new-window", "-d", script], capture_output=True, text=True, timeout=20)
    if outcome.returncode != 0:
        return False, outcome.stderr
    end = time.monotonic() + 20
    while time.monotonic() < end and not (mark.exists() and mark.read_text()):
        time.sleep(0.05)
    return mark.exists() and mark.read_text().strip() == "0", "the terminal's server has run it"


def read_memory(pid):
    maps = open(f"/proc/{pid}/maps").read().splitlines()
    start = int(maps[0].split("-")[0], 16)
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        memory.seek(start)
        return len(memory.read(16)) == 16, "read"
