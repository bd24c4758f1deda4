"""What timm's and the reference package's networks compute from closed-form weights.

    pip install torch==2.11.0 timm efficientnet_lite_pytorch numpy
    python scripts/parity/backbones_torch.py > crates/train/tests/parity/backbones_torch.json

For each network and each mode of its normalisations: pooled features, logits, and the gradient of
`mean(pooled ** 2)` in the last block. In training also the running statistics of some normalisations
after one step of gradient descent (`LEARNING_RATE`) on the first batch, and after five on five. All in
64-bit numbers: rounding is amplified on its way back through a network.
"""

import json
import sys

import timm
import torch
from efficientnet_lite_pytorch import EfficientNet

from closed_form import fill, images, summary

BATCH, STEPS, LEARNING_RATE = 2, 5, 1e-4


def fill_network(model):
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if name.endswith("num_batches_tracked"):
                continue
            if tensor.dim() >= 2:
                kind, fan_in = "kernel", tensor[0].numel()
            elif name.endswith("running_var"):
                kind, fan_in = "variance", None
            elif name.endswith("weight"):
                kind, fan_in = "scale", None
            else:
                kind, fan_in = "other", None
            tensor.copy_(torch.from_numpy(fill(name, tuple(tensor.shape), kind, fan_in)))


def measure(model, pooled_and_logits, side, gradient_of):
    result = {"side": side, "tensors": {}}
    fill_network(model)
    model.double()
    start = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for name, tensor in model.named_parameters():
        result["tensors"][name] = list(tensor.shape)
    result["parameters"] = sum(p.numel() for p in model.parameters())
    batches = torch.from_numpy(images(BATCH * STEPS, side)).double().permute(0, 3, 1, 2).split(BATCH)
    for mode in ["inference", "training"]:
        model.load_state_dict(start)
        model.train(mode == "training")
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.eval()
        model.zero_grad()
        pooled, logits = pooled_and_logits(model, batches[0])
        (pooled**2).mean().backward()
        parameters = dict(model.named_parameters())
        result[mode] = {
            "pooled": summary(pooled.detach()),
            "logits": summary(logits.detach()),
            "gradients": {name: summary(parameters[name].grad) for name in gradient_of},
        }
    result["training"]["running"] = running(model, start, batches, pooled_and_logits, gradient_of)
    del result["tensors"]
    return result


def running(model, start, batches, pooled_and_logits, gradient_of):
    """Running statistics by number of steps, of the normalisations that `gradient_of` names and the first."""
    state = model.state_dict()
    model.load_state_dict(start)
    first = next(name for name in state if name.endswith("running_mean"))
    watched = [first, first.replace("mean", "var")]
    watched += [n.replace(".weight", s) for n in gradient_of for s in (".running_mean", ".running_var")]
    watched = [name for name in watched if name in state]
    after = {}
    for step, batch in enumerate(batches, 1):
        model.zero_grad()
        pooled, _ = pooled_and_logits(model, batch)
        (pooled**2).mean().backward()
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.grad is not None:
                    parameter -= LEARNING_RATE * parameter.grad
        if step in (1, STEPS):
            after[step] = {name: summary(state[name]) for name in watched}
    return after


def timm_network(name, side, gradient_of):
    model = timm.create_model(name, pretrained=False, drop_rate=0.0)

    def run(model, batch):
        pooled = model.global_pool(model.forward_features(batch))
        return pooled, model.get_classifier()(pooled)

    return measure(model, run, side, gradient_of)


def lite0(side, gradient_of):
    model = EfficientNet.from_name("efficientnet-lite0", drop_connect_rate=0.0)

    def run(model, batch):
        pooled = model._avg_pooling(model.extract_features(batch)).flatten(start_dim=1)
        return pooled, model._fc(pooled)

    return measure(model, run, side, gradient_of)


def main():
    torch.manual_seed(0)
    networks = {
        "efficientnet_lite0": lite0(96, ["_conv_head.weight", "_bn1.weight", "_bn1.bias", "_blocks.15._depthwise_conv.weight"]),
        "resnet18": timm_network("resnet18", 96, ["layer4.1.conv2.weight", "layer4.1.bn2.weight", "layer4.1.bn2.bias"]),
        "resnet34": timm_network("resnet34", 96, ["layer4.2.conv2.weight", "layer4.2.bn2.weight", "layer4.2.bn2.bias"]),
        "resnet50": timm_network("resnet50", 96, ["layer4.2.conv3.weight", "layer4.2.bn3.weight", "layer4.2.bn3.bias", "layer4.2.conv2.weight"]),
        "inception_resnet_v2": timm_network("inception_resnet_v2", 139, ["conv2d_7b.conv.weight", "conv2d_7b.bn.weight", "block8.conv2d.weight"]),
    }
    json.dump({"torch": torch.__version__.split("+")[0], "timm": timm.__version__, "networks": networks}, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
