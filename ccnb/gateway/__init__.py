"""The gateway: a local Messages API server that stands between the agent and the model.

`registration` says which run may call, `process` makes sure the server process serves, `cassette` reads and
writes recorded traffic; these are light. The server's own side is imported by that process: `server` and
`app` take calls, `exchange` passes answers on and measures them, `opening` chooses what answers (`sources`,
`forward`, `record`, `replay`).
"""
