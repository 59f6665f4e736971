"""Filter patterns of CloudWatch Logs: terms, `{ JSON }` and `[columns]`, as functions of a message.

Source: CloudWatch Logs User Guide, "Filter pattern syntax"; messages of errors as users report them.
"""

from engine.services.logs.filter_patterns.compiling import BadPattern, compiled

__all__ = ["BadPattern", "compiled"]
