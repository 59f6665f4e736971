"""HTTP/1.1 and AWS protocols: bytes in, requests out. No policy."""
