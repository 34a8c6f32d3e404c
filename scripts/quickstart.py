"""What ./scripts/quickstart runs: fine-tune on the sample unless that was done, show the figures, answer."""

import json
import sys
from pathlib import Path

from intent_bert.cli.console import import_tensorflow_quietly, run_as_command

FOLDER = Path("runs/quickstart")
SENTENCES = ["Play our song now", "Rate this book as awful"]


def main(sentences: list[str]) -> None:
    from intent_bert import IntentPredictor, TrainingConfig
    from intent_bert.evaluation.metrics import format_report

    if (FOLDER / "config.json").is_file() and (FOLDER / "metrics.json").is_file():
        print(f"{FOLDER} is there already: using it (delete it to train again)", file=sys.stderr)
    else:
        import_tensorflow_quietly()
        from intent_bert import train

        train(TrainingConfig(data="sample", output_dir=str(FOLDER)))
    metrics = json.loads((FOLDER / "metrics.json").read_text(encoding="utf-8"))["test"]
    print(f"test accuracy {metrics['accuracy']:.2%}\n\n{format_report(metrics)}\n")
    for text, answer in zip(sentences, IntentPredictor.load(FOLDER).predict(sentences), strict=True):
        print(f"{text!r} -> {answer.intent} ({answer.confidence:.3f})")
    print(f"\nmodel folder      {FOLDER}")
    print(f"confusion matrix  {FOLDER}/confusion_matrix.png")
    print(f"TensorBoard       .venv/bin/tensorboard --logdir {FOLDER}/logs   then open http://localhost:6006")
    print(f"ask it more       .venv/bin/intent-bert predict {FOLDER} 'will it rain in Oslo tomorrow'")


if __name__ == "__main__":
    sys.exit(run_as_command(lambda: main(sys.argv[1:] or SENTENCES)))
