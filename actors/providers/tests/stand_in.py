#!/usr/bin/env python3
# A stand-in for an agent CLI: records its call, prints the capture that its variables name, slowly and in odd pieces, and
# exits as the recorded run did.
import os, sys, time
if sys.argv[1:] == ["--version"]:
    print("stand-in 1.2")
    sys.exit(0)
here = os.environ["STAND_IN"]
with open(here + "/call", "w") as call:
    call.write("\n".join([sys.stdin.read(), *sys.argv[1:], "", *sorted(os.environ)]))
for stream, end in ((sys.stderr.buffer, "err"), (sys.stdout.buffer, "out")):
    data = open(os.environ["CAPTURE"] + "." + end, "rb").read()
    for at in range(0, len(data), 97):
        stream.write(data[at:at + 97])
        stream.flush()
        time.sleep(0.0005)
if "HANG" in os.environ:
    time.sleep(60)
sys.exit(int(os.environ["CODE"]))
