"""The gateway: a local Messages API server that stands between the agent and the model.

`registration` says which run may call, `process` makes sure the server process serves; both are light.
The server's own side (`app`, `sources`, `messages`, `script`, `server`) is imported by that process.
"""
