"""How requests arrive: shapes, published traces, made-up populations."""
