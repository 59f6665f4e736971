"""Where the parts meet: an engine built from a `Config`, and a server around it."""

from engine.app.aws_client import AwsClient
from engine.app.embedded import EmbeddedEngine as Engine
from engine.app.serving import Announcement, serve

__all__ = ["Announcement", "AwsClient", "Engine", "serve"]
