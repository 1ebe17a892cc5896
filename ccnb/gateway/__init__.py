"""The gateway: a local Messages API server that stands between the agent and the model, and the egress proxy.

`registration` says which run may call, `process` makes sure the server process serves, `cassette` reads and
writes recorded traffic, `network_log` holds what went through the proxy; these are light. The server's own
side is imported by that process: `server` and `app` take calls, `exchange` passes answers on and measures
them, `opening` chooses what answers (`sources`, `forward`, `record`, `replay`), `egress` and `tunnel` are the
proxy.
"""
