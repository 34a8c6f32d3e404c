"""The rate of PyTorch's matrix product in float32 and bfloat16."""

import torch
from protocol import Request, best_gflops, report

SIZES = (1024, 2048, 4096)


def rate(dtype: torch.dtype, size: int) -> float:
    a, b = (torch.randn(size, size).to(dtype) for _ in range(2))
    return best_gflops(lambda: torch.mm(a, b), size)


@torch.inference_mode()
def main() -> None:
    Request.read()
    dtypes = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    report({name: max(rate(dtype, size) for size in SIZES) for name, dtype in dtypes.items()}, "torch")


if __name__ == "__main__":
    main()
