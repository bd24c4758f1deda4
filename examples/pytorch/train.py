#!/usr/bin/env python3
"""A small network on a toy problem in plain PyTorch: two spirals, told apart."""

import argparse
import csv
import json
import math
import os

import torch
from torch import nn


def spirals(count, generator):
    turn = torch.rand(count, generator=generator) * 3 * math.pi
    label = torch.randint(0, 2, (count,), generator=generator)
    angle = turn + math.pi * label
    points = torch.stack([turn * angle.cos(), turn * angle.sin()], dim=1) / 10
    return points + 0.03 * torch.randn(points.shape, generator=generator), label


def network(hidden, layers):
    parts, width = [], 2
    for _ in range(layers):
        parts += [nn.Linear(width, hidden), nn.ReLU()]
        width = hidden
    return nn.Sequential(*parts, nn.Linear(width, 2))


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seed", type=int)
    arguments.add_argument("--device", default="cpu")
    arguments.add_argument("--lr", type=float)
    arguments.add_argument("--hidden", type=int)
    arguments.add_argument("--layers", type=int)
    arguments.add_argument("--epochs", type=int)
    given = arguments.parse_args()

    # The test points are the same in every run; all else hangs on the seed.
    test, truth = spirals(500, torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(given.seed)
    torch.manual_seed(given.seed)
    points, labels = spirals(300, generator)

    model = network(given.hidden, given.layers).to(given.device)
    optimizer = torch.optim.Adam(model.parameters(), lr=given.lr)
    points, labels, test = (part.to(given.device) for part in (points, labels, test))
    for epoch in range(1, given.epochs + 1):
        total = 0.0
        for batch in torch.randperm(len(points), generator=generator).split(32):
            loss = nn.functional.cross_entropy(model(points[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)
        print(json.dumps({"epoch": epoch, "loss": total / len(points)}), flush=True)

    with torch.no_grad():
        shares = model(test).softmax(dim=1).cpu()
    with open(os.environ["SWEEP_PREDICTIONS"], "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["image", "label", "predicted", "p_0", "p_1"])
        for place, (label, share) in enumerate(zip(truth.tolist(), shares)):
            table.writerow([place, label, share.argmax().item(), *share.tolist()])


main()
