"""The tables of operations are those that the code has, and complete."""

import pytest

from engine.protocols.aws.service_model import service_model
from tools import aws_operations

SERVICES = aws_operations.services()


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.model)
def test_the_table_of_a_service_is_what_its_code_has(service):
    """After a change: python tools/aws_operations.py --write."""
    assert aws_operations.page(service) == aws_operations.path_of(service).read_text()


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.model)
def test_a_table_has_every_operation_of_the_model_and_no_other(service):
    assert list(aws_operations.table(service)) == sorted(service_model(service.model).operations)
    assert set() == service.served.keys() - service_model(service.model).operations.keys()


def test_the_lines_per_operation_are_counted():
    lines = list(aws_operations.summary())

    assert lines[0].startswith("apart: logs ")
    assert lines[1].startswith("now: ")
    assert aws_operations.lines_now() > 1000
