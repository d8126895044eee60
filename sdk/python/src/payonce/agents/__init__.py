"""Real agents, run as they are with a cache inside their loop."""
