"""What a run found: sums, limits, verdict, the document and its page."""
