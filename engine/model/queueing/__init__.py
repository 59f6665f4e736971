"""Answers by formulas, and what follows from an answer, however it was found.

- `analytic`: `predict` answers for one function under steady or slowly moving load.
- `formulas`, `warm_pool`, `ramps`, `provisioning`, `fluid`: the formulas, each with its source.
- `prediction`: `Prediction` is the shape of every answer, of formulas and simulations.
- `objectives`: `Objectives` says what is asked of a function; `overall` is the verdict.
- `recommendations`: what to provision, what limits to ask for.
- `comparison`: `compared` puts a prediction beside the figures of a live run.
"""
