"""Predicts capacity and cost before anything is deployed, by formulas or by simulation on the live rules.

The folders import each other in this order only, and nothing of the engine but `core` and `errors`:

    distributions   durations in a few words: `parse_distribution`, `Distribution`
    traffic/        how requests arrive
    cost/           what usage costs
    simulation/     answers by simulation, on the live rules or by a fast kernel
    queueing/       answers by formulas, the shape of every answer, and what follows from it
"""
