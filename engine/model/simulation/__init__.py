"""Answers by simulation: requests one by one in simulated time, on the live rules or by a fast kernel.

- `workload`: `Workload` is what a simulation is given; `poisson_workload` and `drawn_workload` make one.
- `simulator`: `Simulation` runs several functions of an account on `core.fleet`, the code that decides live.
- `fast_simulator`: `run` does one function by a kernel over arrays, compiled if numba is installed.
- `run_statistics`: `Observation` and `FunctionObservation` are what both return.
- `policies`: `compare` runs one workload under every scaling and keep-alive policy.
- `simulated_mapping`: `QueueLoad` puts a queue and its mapping before a function.
- `simulated_stream`: `StreamLoad` puts a stream and its mapping before a function.
- `durable_program`: `parse_program` reads what durable executions do; `simulated_executions` plays them.
"""
