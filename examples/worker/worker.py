#!/usr/bin/env python3
"""A worker in the protocol of docs/protocol.md: warm between runs, stopped between epochs.

It "trains" by descending a parabola; put yours in `train`."""

import json
import os
import queue
import random
import sys
import threading

orders = queue.Queue()


def say(kind, **fields):
    print(json.dumps({"type": kind, **fields}), flush=True)


def read_orders():
    for line in sys.stdin:
        orders.put(json.loads(line))
    orders.put(None)  # nobody wants anything more


def is_stopped():
    """Whether a `stop` (or the end of all orders) has come in the middle of a bundle."""
    return not orders.empty()


def train(run, seed, params):
    draws = random.Random(seed)
    x = 1 + draws.random()
    for epoch in range(1, params["epochs"] + 1):
        if is_stopped():
            return {"outcome": "interrupted", "cause": "asked to stop"}
        x -= params["lr"] * (2 * x + 0.1 * (draws.random() - 0.5))
        say("epoch", run=run, metrics={"epoch": epoch, "loss": x * x, "seconds": 0.0})
    return {
        "outcome": "finished",
        "epochs": params["epochs"],
        "updates": params["epochs"],
        "images_seen": 0,
        "score": 1 / (1 + x * x),
    }


threading.Thread(target=read_orders, daemon=True).start()
say("hello", version=1, device=os.environ["SWEEP_DEVICE"])
while (order := orders.get()) is not None:
    if order["type"] != "bundle":
        continue  # a `stop` that came too late
    for run in order["runs"]:
        if is_stopped():
            break
        say("started", run=run["run"])
        outcome = train(run["run"], run["seed"], run["config"]["params"])
        say("finished", run=run["run"], **outcome)
    say("idle")
