"""HTTP/1.1: bytes in, requests out; a server and a small client."""
