"""The operations of S3, each a function of a context and a request. Others are answered with 501."""
