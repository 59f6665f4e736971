"""HTTP events: requests become Lambda events of four AWS front doors, outcomes become their answers."""
