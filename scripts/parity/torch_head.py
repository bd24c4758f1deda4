"""Twenty steps of head training by PyTorch's own optimisers, from the starts of `keras_head.py`.

    pip install torch numpy
    python scripts/parity/torch_head.py > crates/train/tests/parity/torch_head.json

Features, batches and starts are those that `keras_head.py` describes; two classes, one unit.
"""

import json
import sys

import torch

from closed_form import summary, uniform

STEPS, IMAGES, FEATURES, BATCH = 20, 40, 12, 8

OPTIMIZERS = {
    "adam": lambda p: torch.optim.Adam(p, 0.01),
    "adamw": lambda p: torch.optim.AdamW(p, 0.01),
    "sgd": lambda p: torch.optim.SGD(p, 0.1),
    "sgd momentum": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9),
    "sgd nesterov": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, nesterov=True),
    "rmsprop": lambda p: torch.optim.RMSprop(p, 0.01),
}


CASES = [(name, None) for name in OPTIMIZERS] + [("sgd momentum", 10), ("sgd nesterov", 10)]


def run(name, halved_at):
    kernel = torch.tensor(uniform("dense0/kernel", FEATURES).reshape(FEATURES, 1) / 2, requires_grad=True)
    bias = torch.tensor(uniform("dense0/bias", 1) / 10, requires_grad=True)
    optimizer = OPTIMIZERS[name]([kernel, bias])
    x = torch.tensor(uniform("features", IMAGES * FEATURES).reshape(IMAGES, FEATURES))
    y = (torch.arange(IMAGES) % 2).float()[:, None]
    losses = []
    for step in range(STEPS):
        if step == halved_at:
            for group in optimizer.param_groups:
                group["lr"] /= 2
        at = slice(BATCH * step % IMAGES, BATCH * step % IMAGES + BATCH)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(x[at] @ kernel + bias, y[at])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    final = {
        "dense0/kernel": summary(kernel.detach().numpy()),
        "dense0/bias": summary(bias.detach().numpy()),
    }
    case = {"optimizer": name, "classes": 2, "units": [1], "loss": "binary_crossentropy", "label_smoothing": 0.0}
    if halved_at is not None:
        case["halved_at"] = halved_at
    return {**case, "losses": losses, "final": final}


def main():
    json.dump({"torch": torch.__version__.split("+")[0], "cases": [run(*case) for case in CASES]}, sys.stdout)
    print()


if __name__ == "__main__":
    main()
