"""Capacity and cost before anything is deployed: prices, formulas, a simulator on the engine's own rules."""
