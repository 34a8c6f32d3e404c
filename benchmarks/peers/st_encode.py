"""sentence-transformers' ``encode`` and scikit-learn's logistic regression over its vectors: text to intent.

``encode`` sorts by length itself; the size of its batches is the one that is best on 1,000 sentences. The regression is
fitted before the clock starts, on sentences of SNIPS' short training list, seven for each that is answered one by one.
"""

import random
from pathlib import Path

from protocol import Request, best_batch_size, measure_answers, read_table, report
from sentence_transformers import SentenceTransformer
from sklearn.linear_model import LogisticRegression

SIZES = (8, 16, 32, 64, 128)


def main() -> None:
    request = Request.read()
    encoder = SentenceTransformer(str(request.folder / "huggingface"), device="cpu")

    def vectors(texts: list[str], batch_size: int) -> object:
        return encoder.encode(texts, batch_size=batch_size, normalize_embeddings=True, show_progress_bar=False)

    texts, intents = read_table(Path(request.data) / "snips" / "train_small.csv")
    rows = random.Random(request.seed).sample(range(len(texts)), min(len(texts), 7 * request.singles))
    head = LogisticRegression(C=10, max_iter=1000)
    head.fit(vectors([texts[row] for row in rows], 32), [intents[row] for row in rows])
    size = best_batch_size(request, vectors, SIZES)
    result = measure_answers(
        request,
        lambda text: str(head.predict(vectors([text], 1))[0]),
        lambda texts: [str(intent) for intent in head.predict(vectors(texts, size))],
    )
    report({**result, "batch_size": size}, "torch", "transformers", "sentence-transformers", "scikit-learn")


if __name__ == "__main__":
    main()
