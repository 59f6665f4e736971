"""Functions as packages: archives, the folders they are unpacked to, and the state that outlives a run."""
