#!/usr/bin/env python
"""Ask a running server with Triton's own client, which knows nothing of this package, and show what it reads.

    python -m venv triton && triton/bin/pip install "tritonclient[http]"
    intent-bert serve runs/sample &
    triton/bin/python scripts/ask_with_tritonclient.py 127.0.0.1:8080 sample "Play our song now"

It has an environment of its own, for its ml-dtypes is an older one than TensorFlow's.
"""

import sys

import numpy as np
from tritonclient import http


def main() -> int:
    address, model, *texts = sys.argv[1:]
    client = http.InferenceServerClient(address)
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(model)
    print([output["name"] for output in client.get_model_metadata(model)["outputs"]])
    tensor = http.InferInput("text", [len(texts)], "BYTES")
    tensor.set_data_from_numpy(np.array(texts, object))  # binary, as this client does by default
    result = client.infer(model, [tensor])
    columns = [result.as_numpy(name) for name in ("intent", "confidence", "in_scope")]
    for text, intent, confidence, in_scope in zip(texts, *columns, strict=True):
        print(f"{intent.decode()}  {confidence:.4f}  {'in scope' if in_scope else 'out of scope'}  {text}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
