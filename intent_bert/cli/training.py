"""The commands that train: ``train`` fine-tunes one model, ``compare`` sets methods against each other."""

import argparse
from typing import Any

from intent_bert.cli.arguments import add_command, add_settings, given
from intent_bert.cli.console import import_tensorflow_quietly
from intent_bert.config import CompareConfig, TrainingConfig
from intent_bert.estimators.baselines import DEFAULT_METHODS, METHODS, chosen


def add_commands(commands: Any) -> None:
    command = add_command(commands, "train", "fine-tune on a table and leave a model folder", run_train)
    command.usage = "%(prog)s (--data NAME|DIR | --train-file FILE) [--output-dir DIR] [OPTION ...]"
    add_settings(command, TrainingConfig)

    command = add_command(commands, "compare", "set methods against each other on a table", run_compare)
    command.usage = "%(prog)s (--data NAME|DIR | --train-file FILE) [--methods NAME,...] [OPTION ...]"
    add_settings(command, CompareConfig)
    command.epilog = (
        f"Methods: {', '.join(METHODS)}, and last-N for any number of layers; default is {', '.join(DEFAULT_METHODS)}."
    )


def run_train(options: argparse.Namespace) -> None:
    config = TrainingConfig.of(**given(options, TrainingConfig))
    import_tensorflow_quietly()
    from intent_bert.training.run import train

    result = train(config)
    best = "test" if "test" in result.evaluations else "validation" if "validation" in result.evaluations else "train"
    for name, evaluation in result.evaluations.items():
        print(f"{name:<10} {evaluation.summary()}  ({evaluation.rows} rows)")
    print(f"\nper intent, {best}:\n{result.evaluations[best].report()}\n")
    print(f"trained in {result.seconds:.0f} s")
    print(f"model folder      {result.folder}")
    print(f"confusion matrix  {result.folder / 'confusion_matrix.png'}")
    print(f"mistakes          {result.folder / 'mistakes.csv'}")
    print(f"TensorBoard logs  {result.log_dir}   (tensorboard --logdir {result.log_dir.parent})")


def run_compare(options: argparse.Namespace) -> None:
    config = CompareConfig.of(**given(options, CompareConfig))
    if any(method.family in ("frozen", "tuned") for method in chosen(config.methods)):
        import_tensorflow_quietly()
    from intent_bert.estimators.comparison import compare

    result = compare(config)
    print(result.report())
    print(f"\n{' '.join(result.advice)}\n")
    print(f"tables and plots  {result.folder}")
