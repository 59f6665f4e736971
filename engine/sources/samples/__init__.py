"""Sample events of every source, each made by the code that the source itself uses."""
