"""The page about CloudWatch Logs names what is served."""

import re
from pathlib import Path

from engine.protocols.aws.service_model import service_model

PAGE = Path(__file__).parents[3] / "docs" / "fidelity" / "logs.md"


def test_every_operation_that_is_served_stands_on_the_page_and_no_other():
    table = PAGE.read_text().partition("## Operations")[2].partition("## Filter")[0]
    named = set(re.findall(r"\b(?:Create|Describe|List|Delete|Put|Get|Filter|Tag|Untag)[A-Z]\w+", table))
    by_name = {"TagLogGroup", "UntagLogGroup", "ListTagsLogGroup"}  # "the older ones by name"

    assert set(service_model("logs").operations) == named | by_name
