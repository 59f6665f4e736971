"""The operations of S3: each a function of the desk and the call. What is not here answers 501."""
