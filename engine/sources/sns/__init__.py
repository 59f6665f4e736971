"""Events of type `sns`: topics that invoke functions."""
