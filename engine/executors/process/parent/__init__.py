"""The engine's side of processes: fork servers, environments, their sockets, pipes and memory."""
