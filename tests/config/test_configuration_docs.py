"""docs/configuration.md says what the models say."""

import re
import tomllib
from pathlib import Path

import pytest

from engine.config import EngineSettings, FunctionSettings, load_config
from engine.registry import names, resolve
from engine.services.eventbridge.settings import BusSettings, RuleSettings, RuleTargetSettings
from engine.services.partner.settings import DataStreamSettings, TableSettings
from engine.services.s3.settings import BucketSettings, S3Settings
from engine.services.sqs.settings import QueueSettings

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


SOURCES = PAGE.with_name("sources.md")
SETTINGS = [
    *(resolve("source", kind).Settings for kind in names("source")),
    *(QueueSettings, BucketSettings, S3Settings, BusSettings, RuleSettings, RuleTargetSettings),
    *(DataStreamSettings, TableSettings),
]


def rows(heading):
    """Key and default of each row of the table under `heading`."""
    section = PAGE.read_text().partition(f"### `{heading}`\n")[2].partition("\n#")[0]
    return re.findall(r"^\| `(\w+)` \| (.*?) \|", section, re.MULTILINE)


def default(model, key):
    """The default of `key` as the page writes it."""
    field = model.model_fields[key]
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None:
        return "none"
    if value == ():
        return "`[]`"
    if isinstance(value, bool):
        return f"`{value}`".lower()
    if isinstance(value, int | float | dict):
        return f"`{value:g}`".replace("1e+05", "100000") if not isinstance(value, dict) else "`{}`"
    return f'`"{value}"`'


@pytest.mark.parametrize(
    ("heading", "model"), [("[engine]", EngineSettings), ("[functions.NAME]", FunctionSettings)]
)
def test_every_key_and_its_default_is_documented(heading, model):
    """In the order of the model, and no key that does not exist."""
    expected = [(key, default(model, key)) for key in model.model_fields]

    assert expected == rows(heading)


@pytest.mark.parametrize("model", SETTINGS)
def test_every_key_of_what_feeds_functions_is_documented(model):
    """docs/sources.md has a row for each; `type` names the source itself."""
    documented = re.findall(r"^\| `(\w+)` \|", SOURCES.read_text(), re.MULTILINE)

    assert [] == [key for key in model.model_fields if key != "type" and key not in documented]


def test_the_documented_example_loads(project):
    """The page's engine.toml is valid as it stands."""
    [example] = re.findall(r"```toml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (project / "engine.toml").write_text(example)

    config = load_config("engine.toml")

    assert list(tomllib.loads(example)["functions"]) == [function.name for function in config.functions]
