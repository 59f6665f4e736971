"""Other AWS services: requests for what the engine has not are handed to another server."""
