"""A double of Fly.io: its Machines API and its log endpoint, each machine a container of the local engine."""
