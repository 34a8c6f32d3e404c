"""The settings of a run: recipes, defaults and what is refused."""

from dataclasses import fields, replace

import pytest

from intent_bert.bert.config import BertConfig
from intent_bert.config import Architecture, TrainingConfig, trained_layers
from intent_bert.errors import IntentBertError, SettingsError


def test_the_tutorial_recipe_is_the_tutorials():
    config = TrainingConfig.from_recipe("tutorial")
    assert (config.learning_rate, config.batch_size, config.epochs, config.validation_split) == (1e-5, 16, 5, 0.1)
    assert (config.warmup, config.decay, config.weight_decay, config.dropout) == (0.0, False, 0.0, 0.5)
    assert config.head_learning_rate_multiplier == 1
    assert TrainingConfig.from_recipe("tutorial", epochs=2).epochs == 2


def test_every_setting_has_help_and_the_default_recipe_changes_nothing():
    assert TrainingConfig.from_recipe("default") == TrainingConfig()
    assert all(each.metadata["help"] for each in fields(TrainingConfig))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"epochs": 0}, "epochs must be at least 1, not 0"),
        ({"batch_size": -1}, "batch_size must be at least 1, not -1"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0 and below 1, not 0.0"),
        ({"learning_rate": float("nan")}, "learning_rate must be above 0 and below 1, not nan"),
        ({"warmup": 1.0}, "warmup must be at least 0 and below 1, not 1.0"),
        ({"dropout": 1.0}, "dropout must be at least 0 and below 1, not 1.0"),
        ({"validation_split": -0.1}, "validation_split must be at least 0 and below 1, not -0.1"),
        (
            {"head_learning_rate_multiplier": 0.0},
            "head_learning_rate_multiplier must be above 0 and at most 1000, not 0.0",
        ),
        ({"weight_decay": -1.0}, "weight_decay must be at least 0 and below 1, not -1.0"),
        ({"head": "lstm"}, "unknown head 'lstm': expected one of dense, linear, cosine, rnn"),
        ({"head": "rnn", "pooling": "max"}, "head 'rnn' reads the vectors of all tokens: leave out pooling 'max'"),
        ({"train_layers": "some"}, "train_layers must be all, head or a number of encoder layers, not 'some'"),
        ({"train_layers": -1}, "train_layers must be all, head or a number of encoder layers, not -1"),
        (
            {"train_layers": 2, "adapter_size": 8},
            "adapters freeze the encoder themselves: give adapter_size or train_layers, not both",
        ),
        ({"class_weight": "even"}, "class_weight must be 'balanced', None or a weight for each label, not 'even'"),
        ({"class_weight": {1: 1.0, 2: -1}}, "class_weight must be a number above 0, not -1 for '2'"),
        ({"class_weight": {"a": float("nan")}}, "class_weight must be a number above 0, not nan for 'a'"),
        ({"class_weight": {1: 1, "1": 2}}, "class_weight names the label 1 twice, in two types: give it once"),
        ({"class_weight": {"a": "much"}}, "class_weight must be a number above 0, not 'much' for 'a'"),
        ({"adapter_size": 0}, "adapter_size must be at least 1, not 0"),
        ({"seed": -1}, "seed must be 0 to 4294967295, not -1"),
        (
            {"precision": "float8"},
            "unknown precision 'float8': expected one of auto, float32, bfloat16, mixed_float16",
        ),
        (
            {"pooling": "first"},
            "unknown pooling 'first': expected one of cls, mean, max, sum_last_four, mean_last_four, concat_last_four",
        ),
    ],
)
def test_a_number_that_cannot_be_meant_is_refused(settings, expected):
    with pytest.raises(SettingsError) as caught:
        TrainingConfig.from_recipe("default", **settings)
    assert str(caught.value) == expected


def test_layers_that_learn_as_a_number():
    assert [trained_layers(value) for value in ("all", "head", "0", "3", 3)] == [None, 0, 0, 3, 3]


@pytest.mark.parametrize(
    ("settings", "sentences", "intents", "expected"),
    [
        ({}, 13_784, 7, (1e-4, 3, 1)),
        ({}, 64, 7, (1e-4, 50, 1)),  # two steps an epoch, 100 in all
        ({}, 6400, 28, (1e-4, 3, 4)),
        ({}, 640, 150, (1e-4, 60, 10)),  # twenty steps an epoch, eight for each intent
        ({"train_layers": 2}, 3200, 2, (1e-4, 3, 1)),
        ({"multi_label": True}, 20_676, 7, (1e-4, 3, 1)),
        ({"multi_label": True}, 6400, 7, (1e-4, 5, 1)),
        ({"multi_label": True}, 3200, 7, (1e-4, 6, 1)),
        ({"multi_label": True}, 64, 7, (1e-4, 50, 1)),
        ({"train_layers": "head"}, 3200, 150, (3e-3, 10, 1)),
        ({"epochs": 1, "learning_rate": 0.5, "head_learning_rate_multiplier": 3.0}, 64, 7, (0.5, 1, 3)),
    ],
)
def test_what_is_left_open_is_resolved_for_the_encoder_and_the_table(settings, sentences, intents, expected):
    config = TrainingConfig(**settings).resolved(BertConfig(30522, hidden_size=384), sentences, intents)
    assert (config.learning_rate, config.epochs, config.head_learning_rate_multiplier) == expected


def test_a_recipe_sets_what_is_left_open_and_nothing_else():
    config = TrainingConfig(recipe="tutorial", batch_size=32, decay=True)
    assert (config.pooling, config.head, config.dropout) == ("cls", "dense", 0.5)
    assert (config.batch_size, config.decay, config.warmup) == (32, True, 0.0)
    assert replace(config, epochs=7).batch_size == 32
    default = TrainingConfig()
    assert (default.pooling, default.head, default.models) == ("mean", "cosine", 1)
    assert (Architecture().pooling, Architecture().head) == ("cls", "dense")  # what create_model builds


def test_the_default_recipe_knows_what_goes_with_what():
    assert TrainingConfig(head="rnn").pooling == "cls"
    several = TrainingConfig(multi_label=True)
    assert (several.pooling, several.head, several.dropout) == ("cls", "dense", 0.5)


def test_unknown_names_are_refused_with_the_known_ones():
    with pytest.raises(
        SettingsError, match=r"^unknown recipe 'slow': expected one of default, tutorial, accurate, few-shot$"
    ):
        TrainingConfig.from_recipe("slow")
    with pytest.raises(SettingsError, match=r"^unknown recipe \['accurate'\]: expected one of "):
        TrainingConfig(recipe=["accurate"])
    with pytest.raises(SettingsError, match=r"^unknown setting epoch, lr: expected some of adapter_size, batch_size, "):
        TrainingConfig.from_recipe("default", lr=1, epoch=2)
    assert issubclass(SettingsError, IntentBertError)
