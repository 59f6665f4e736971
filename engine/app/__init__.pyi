from engine.app.aws_client import AwsClient as AwsClient
from engine.app.embedded import EmbeddedEngine as Engine
from engine.app.serving import Announcement as Announcement
from engine.app.serving import serve as serve

__all__ = ["Announcement", "AwsClient", "Engine", "serve"]
