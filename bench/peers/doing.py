"""What the shell program in the agent's place is told to do (tests/doubles/agent/claude)."""

from __future__ import annotations

from bench.peers import model

_MESSAGE = '{"type":"assistant","message":{"id":"m","model":"m","content":[{"type":"text","text":"%s"}]}'
SAY = f"printf '{_MESSAGE}}}\\n'"
RESULT = (
    """echo '{"type":"result","subtype":"success","is_error":false,"result":"done","num_turns":1,"""
    """"duration_ms":1,"duration_api_ms":1,"session_id":"s","total_cost_usd":0.5}'"""
)
_LINE = _MESSAGE.replace("%s", "a line of many") + r',"n":%d}\n'
HANDSHAKE = r"""read -r ask; id=$(printf %s "$ask" | sed 's/.*"request_id": *"\([^"]*\)".*/\1/')
echo '{"type":"control_response","response":{"subtype":"success","request_id":"'$id'","response":{}}}'
read -r prompt
"""
"""What claude-agent-sdk expects of an agent: an answer to its greeting, and that its prompt is read."""
FEW = f"init; {SAY} one; {SAY} two; {RESULT}"
FEW_EVENTS = 4
LATENCY = """the agent writes a line with the time in it each 30 ms, and the client looks at the same clock. \
Reading it costs the agent a process, which counts against both"""


def ticking(lines: int) -> str:
    """Return a line with its time each 30 ms."""
    return f"""init; i=0; while [ $i -lt {lines} ]; do
    i=$((i + 1)); t=$(date +%s.%N); echo '{{"type":"system","subtype":"tick","t":'$t'}}'; sleep 0.03
done; {RESULT}"""


def printing(lines: int) -> str:
    """Return numbered lines as fast as it goes."""
    return f"""awk -v line='{_LINE}' 'BEGIN {{ for (i = 0; i < {lines}; i++) printf line, i }}'"""


def flooding(lines: int) -> str:
    """Return an agent's stream with so many numbered lines."""
    return f"init; {printing(lines)}; {RESULT}"


def commands() -> str:
    """Return the task's commands, done by the agent's double, each told when it is done."""
    done = "; ".join(f"({command}) >/dev/null; {SAY} done" for command in model.COMMANDS)
    return f"init; {done}; {RESULT}"
