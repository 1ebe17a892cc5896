"""The gateway: a local Messages API server that stands between the agent and the model, and the egress proxy.

`registration` says which run may call, `process` makes sure the server process serves, `network_log` holds
what went through the proxy; these are light. The server's own side (`app`, `sources`, `messages`, `script`,
`egress`, `tunnel`, `server`) is imported by that process.
"""
