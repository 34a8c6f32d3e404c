"""Personal data and secrets: what is found, what is not, and that what was masked is not found again."""

import pytest

from intent_bert.workbench.masks import masked, personal_data


@pytest.mark.parametrize(
    ("text", "without"),
    [
        ("write to jo.doe+x@mail.firm.co.uk now", "write to name@example.com now"),
        ("card 4111 1111 1111 1111 is lost", "card 0000 0000 0000 0000 is lost"),
        ("from GB82 WEST 1234 5698 7654 32 please", "from DE00 0000 0000 please"),
        ("call +44 20 7946 0958", "call +00 00 0000 0000"),
        ("call (555) 123-4567 or 555-123-4567", "call (000) 000-0000 or 000-000-0000"),
        ("key AKIAIOSFODNN7EXAMPLE", "key SECRET"),
        ("my password is hunter2", "my password is SECRET"),
        ("token ghp_abcdefghijklmnopqrstuvwxyz0123456789", "token SECRET"),
    ],
)
def test_what_is_found_is_masked_once(text, without):
    assert masked(text) == without
    assert len(personal_data(text)) == 1
    assert personal_data(without) == []


@pytest.mark.parametrize(
    "text",
    [
        "my password is wrong",  # no digit: a word, not a password
        "rate it 4 of 5 on 2018-03-10 at 10:30",
        "transfer 1,000,000.00 to savings",
        "card 4111 1111 1111 1112",  # the check digit is wrong
        "order 1234567",
        "mail name@example.com",
        "meet @ noon",
    ],
)
def test_what_is_none_of_it_stays(text):
    assert personal_data(text) == []
    assert masked(text) == text
