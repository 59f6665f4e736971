"""What usage costs: price books, bills, memory sizes, recommendations."""
