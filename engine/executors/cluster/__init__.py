"""The cluster executor: environments on other nodes, each node with one agent that connects to the engine."""
