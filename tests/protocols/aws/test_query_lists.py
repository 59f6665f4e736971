"""The Query protocol where lists and maps are not flat, as those of SNS: a form is read or refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.protocols.aws.errors import ServiceError
from engine.protocols.aws.query import Query
from engine.protocols.aws.service_model import service_model
from engine.protocols.aws.validation import check

SNS = Query(service_model("sns"), declaration="", detail="")


def test_lists_and_maps_have_an_element_for_each_item():
    """In the order of their numbers."""
    form = {
        "Tags.member.2.Key": "b",
        "Tags.member.2.Value": "2",
        "Tags.member.1.Key": "a",
        "Tags.member.1.Value": "1",
        "Attributes.entry.1.key": "DisplayName",
        "Attributes.entry.1.value": "D",
        "Name": "t",
    }

    assert {
        "Name": "t",
        "Attributes": {"DisplayName": "D"},
        "Tags": [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}],
    } == SNS.parameters("CreateTopic", form)
    assert {"Tags": []} == SNS.parameters("CreateTopic", {"Tags": ""})


def test_maps_of_structures_have_names_of_their_own():
    form = {
        "Message": "m",
        "MessageAttributes.entry.1.Name": "a",
        "MessageAttributes.entry.1.Value.DataType": "Number",
        "MessageAttributes.entry.1.Value.StringValue": "1",
    }

    assert {"a": {"DataType": "Number", "StringValue": "1"}} == SNS.parameters("Publish", form)[
        "MessageAttributes"
    ]


parts = st.sampled_from(
    [
        "",
        "member",
        "entry",
        "1",
        "2",
        "x",
        "key",
        "value",
        "Name",
        "Value",
        "Key",
        "DataType",
        "Id",
        "Message",
    ]
)
names = st.builds(
    lambda first, rest: ".".join([first, *rest]),
    st.sampled_from(["Attributes", "MessageAttributes", "Tags", "PublishBatchRequestEntries", "Name"]),
    st.lists(parts, max_size=5),
)


@given(
    st.sampled_from(["CreateTopic", "Publish", "PublishBatch", "TagResource"]),
    st.dictionaries(names, st.sampled_from(["", "x", "1"]), max_size=5),
)
def test_whatever_a_form_says_is_read_or_refused(operation, form):
    """With an error of AWS's."""
    try:
        check(service_model("sns"), operation, SNS.parameters(operation, form))
    except ServiceError as error:
        refused = error.status
    else:
        refused = 400

    assert 400 == refused


@pytest.mark.parametrize("operation", ["ListTopics", "GetTopicAttributes"])
def test_an_operation_without_parameters_reads_none(operation):
    assert {} == SNS.parameters(operation, {"Action": operation, "Version": "2010-03-31"})
