"""Starts the server as a client does, and calls its tool."""

import json
import subprocess
from pathlib import Path

from proxima_sdk.testing import open_kernel

COUNTS = {"a": {"00": 510, "11": 514}, "b": {"00": 480, "01": 21, "11": 523}}
REQUESTS = [
    {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {}},
    {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "distance", "arguments": COUNTS}},
]

with open_kernel(Path(__file__).parents[1]) as kernel:
    server = kernel.get("mcp_servers", "my-plugin")
lines = "".join(json.dumps(request) + "\n" for request in REQUESTS)
done = subprocess.run(
    server.command, input=lines, env=dict(server.environment), capture_output=True, text=True, timeout=60
)
print(json.loads(done.stdout.splitlines()[-1])["result"]["content"][0]["text"])
